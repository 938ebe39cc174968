"""Recheck Glorot & Bengio 2010: profiles of activations and gradients, tanh and sigmoid."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from init_bench import datasets
from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import (
    Experiment,
    Picture,
    Tables,
    last_over_first,
    over,
    tables,
    value_of,
)
from init_bench.reproduction.papers.network_training import (
    GRADIENT,
    STD,
    best_rates,
    start_profile,
    train,
)
from init_bench.theory import expected_profile
from init_bench.training.grid import Grid

HIDDEN = 5


STANDARD, NORMALIZED = "standard, U(±1/√n)", "normalized, xavier_uniform"


SPECS = {
    "variance_scaling(scale=0.3333333333333333, mode='fan_in', distribution='uniform')": STANDARD,
    "xavier_uniform": NORMALIZED,
}


LOSS, TOP = "loss", "top mean"


SIGMOID_STEPS = (0, 20, 50, 100, 200, 400)


def measure(
    seeds: Sequence[int],
    *,
    width: int = 300,
    steps: int = 400,
    rates: Sequence[float] = (0.01, 0.1, 0.3),
) -> Tables:
    """Return profiles of tanh networks at the start, their losses, and sigmoid's top layer."""
    shape: dict[str, Any] = {"width": width, "seed": list(seeds), "steps": steps}
    tanh: dict[str, Any] = {
        "activation": "tanh",
        "depth": HIDDEN + 1,
        "lr": list(rates),
        "capture_at": [0],
    }
    cells, layers = train([Grid(init=[*SPECS], **tanh, **shape)])
    cells = cells.assign(init=cells["init"].map(_series))
    measured: list[tuple[object, ...]] = [
        (LOSS, init, HIDDEN, seed, loss) for init, seed, loss in best_rates(cells, ["init"])
    ]
    measured += list(start_profile(layers[layers["lr"] == rates[0]], _series))
    caught = [step for step in SIGMOID_STEPS if step <= steps]
    sigmoid: dict[str, Any] = {"activation": "sigmoid", "depth": 5, "lr": [0.1, 1.0]}
    watched = Grid(init=[*SPECS][:1], capture_at=caught, **sigmoid, **shape)
    measured += list(_top_means(train([watched])[1]))
    return tables(measured, _expected(width))


def _series(spec: str) -> str:
    return NORMALIZED if spec == "xavier_uniform" else STANDARD


def _top_means(layers: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    top = layers[(layers["kind"] == "activation") & (layers["layer"] == "act4")]
    for row in top.to_dict("records"):
        yield TOP, f"sigmoid, rate {row['lr']:g}", row["step"], row["seed"], row["mean"]


def _expected(width: int) -> Iterator[tuple[object, ...]]:
    images = datasets.load("mnist").inputs[:2000]
    widths = [images.shape[1], *[width] * HIDDEN, 10]
    for spec, series in SPECS.items():
        table = expected_profile(widths, spec, "tanh", inputs=images)
        hidden = table[table["layer"].str.startswith("act")]
        gradients = hidden[hidden["kind"] == "gradient"]["std"]
        for row in hidden.to_dict("records"):
            quantity = STD if row["kind"] == "activation" else GRADIENT
            scale = gradients.iloc[-1] if quantity == GRADIENT else 1.0
            yield quantity, series, int(row["layer"].removeprefix("act")), row["std"] / scale


def _least_top_mean(table: pd.DataFrame) -> pd.Series:
    """Return the lowest mean of the top layer at any captured step and rate, by seed."""
    least: pd.Series = table[table["quantity"] == TOP].groupby("seed")["value"].min()
    return least


EXPERIMENT = Experiment(
    measure=measure,
    read="the abstract; the figures are recalled from secondary accounts. The paper trains 1000 "
    "units wide on Shapeset, MNIST and others; here 300 wide on MNIST.",
    setting="784-300-…-10 MLPs on MNIST, SGD, batch 128, best of three rates, 400 steps.",
    seeds=5,
    quick={"width": 30, "steps": 20, "rates": (0.1,)},
    not_checked="softsign; profiles during training; test errors.",
    claims=(
        Claim(
            name="standard-shrinks",
            figure="profile",
            statement="with the standard start tanh's activations shrink up the layers",
            quantity="std of activations, hidden layer 5 over 1",
            frame="measured",
            measure=last_over_first(STD, STANDARD),
            high=0.5,
        ),
        Claim(
            name="normalized-level",
            figure="profile",
            statement="with the normalized start they keep their spread",
            quantity="std of activations, hidden layer 5 over 1",
            frame="measured",
            measure=last_over_first(STD, NORMALIZED),
            low=0.7,
            high=1.3,
        ),
        Claim(
            name="standard-gradients-shrink",
            figure="profile",
            statement="with the standard start back-propagated gradients shrink down the layers",
            quantity="gradient, hidden layer 1 over 5",
            frame="measured",
            measure=value_of(GRADIENT, STANDARD, 1),
            high=0.5,
        ),
        Claim(
            name="normalized-gradients-level",
            figure="profile",
            statement="with the normalized start they do not",
            quantity="gradient, hidden layer 1 over 5",
            frame="measured",
            measure=value_of(GRADIENT, NORMALIZED, 1),
            low=0.7,
            high=1.3,
        ),
        Claim(
            name="normalized-faster",
            figure="profile",
            statement="the normalized start brings substantially faster convergence",
            quantity="loss of the last 50 of 400 steps at the best rate, normalized over standard",
            frame="measured",
            measure=over(LOSS, NORMALIZED, STANDARD),
            high=0.9,
        ),
        Claim(
            name="sigmoid-top-saturates",
            figure="sigmoid",
            statement="sigmoid's top hidden layer is driven into saturation, at 0",
            quantity="lowest mean of hidden layer 4 at any captured step, rates 0.1 and 1",
            frame="measured",
            measure=_least_top_mean,
            high=0.1,
        ),
    ),
    pictures={
        "profile": Picture(
            (
                Panel(quantity=STD, x="hidden layer", y="std of activations", low_y=0.0),
                Panel(
                    quantity=GRADIENT,
                    x="hidden layer",
                    y="gradient, relative to hidden layer 5",
                    low_y=0.0,
                ),
            ),
            "Tanh networks before training, MNIST. Dashed: mean field. Bands: lowest to highest "
            "seed.",
        ),
        "sigmoid": Picture(
            (Panel(quantity=TOP, x="step", y="mean activation of the top hidden layer"),),
            "Sigmoid networks of 4 hidden layers, standard start, while they train. The paper: "
            "the top layer goes to 0 at once and stays there for long.",
        ),
    },
)
