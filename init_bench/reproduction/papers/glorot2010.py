"""Recheck Glorot & Bengio 2010: profiles of activations and gradients, tanh and sigmoid.

Read of the paper:
    the abstract; the figures are recalled from secondary accounts. The paper trains 1000 units wide
    on Shapeset, MNIST and others; here 300 wide on MNIST.

Setting:
    784-300-…-10 MLPs on MNIST, SGD, batch 128, best of three rates, 400 steps.

Not rechecked:
    softsign; profiles during training; test errors.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.network_training import best_rates, train
from init_bench.reproduction.papers.profiles import GRADIENT, STD, expected_start, start_profile
from init_bench.reproduction.papers.quantities import last_over_first, least, over, value_of
from init_bench.training.grid import Grid

HIDDEN = 5


STANDARD, NORMALIZED = "standard, U(±1/√n)", "normalized, xavier_uniform"


SPECS = {
    "variance_scaling(scale=0.3333333333333333, mode='fan_in', distribution='uniform')": STANDARD,
    "xavier_uniform": NORMALIZED,
}


LOSS, TOP = "loss", "top mean"


SIGMOID_STEPS = (0, 20, 50, 100, 200, 400)


RATES = (0.01, 0.1, 0.3)


def measure(
    seeds: Sequence[int], *, width: int = 300, steps: int = 400, rates: Sequence[float] = RATES
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
    cells = cells.assign(init=cells["init"].map(SPECS))
    measured: list[tuple[object, ...]] = [
        (LOSS, init, HIDDEN, seed, loss) for init, seed, loss in best_rates(cells, ["init"])
    ]
    measured += list(start_profile(layers[layers["lr"] == rates[0]], SPECS))
    caught = [step for step in SIGMOID_STEPS if step <= steps]
    sigmoid: dict[str, Any] = {"activation": "sigmoid", "depth": 5, "lr": [0.1, 1.0]}
    watched = Grid(init=[*SPECS][:1], capture_at=caught, **sigmoid, **shape)
    measured += list(_top_means(train([watched])[1]))
    return tables(measured, expected_start(SPECS, [width] * HIDDEN, "tanh"))


def _top_means(layers: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    top = layers[(layers["kind"] == "activation") & (layers["layer"] == "act4")]
    for row in top.to_dict("records"):
        yield TOP, f"sigmoid, rate {row['lr']:g}", row["step"], row["seed"], row["mean"]


PICTURES = {
    "profile": Picture(
        (
            Panel(STD, "hidden layer", "std of activations", low_y=0.0),
            Panel(GRADIENT, "hidden layer", "gradient, relative to hidden layer 5", low_y=0.0),
        ),
        "Tanh networks before training, MNIST. Dashed: mean field. Bands: lowest to highest seed.",
        claims=(
            Claim(
                "standard-shrinks",
                "with the standard start tanh's activations shrink up the layers",
                "std of activations, hidden layer 5 over 1",
                last_over_first(STD, STANDARD),
                high=0.5,
            ),
            Claim(
                "normalized-level",
                "with the normalized start they keep their spread",
                "std of activations, hidden layer 5 over 1",
                last_over_first(STD, NORMALIZED),
                low=0.7,
                high=1.3,
            ),
            Claim(
                "standard-gradients-shrink",
                "with the standard start back-propagated gradients shrink down the layers",
                "gradient, hidden layer 1 over 5",
                value_of(GRADIENT, STANDARD, 1),
                high=0.5,
            ),
            Claim(
                "normalized-gradients-level",
                "with the normalized start they do not",
                "gradient, hidden layer 1 over 5",
                value_of(GRADIENT, NORMALIZED, 1),
                low=0.7,
                high=1.3,
            ),
            Claim(
                "normalized-faster",
                "the normalized start brings substantially faster convergence",
                "loss of the last 50 of 400 steps at the best rate, normalized over standard",
                over(LOSS, NORMALIZED, STANDARD),
                high=0.9,
            ),
        ),
    ),
    "sigmoid": Picture(
        (Panel(TOP, "step", "mean activation of the top hidden layer"),),
        "Sigmoid networks of 4 hidden layers, standard start, while they train. The paper: "
        "the top layer goes to 0 at once and stays there for long.",
        claims=(
            Claim(
                "sigmoid-top-saturates",
                "sigmoid's top hidden layer is driven into saturation, at 0",
                "lowest mean of hidden layer 4 at any captured step, rates 0.1 and 1",
                least(TOP),
                high=0.1,
            ),
        ),
    ),
}


EXPERIMENT = Experiment(measure, PICTURES, quick={"width": 30, "steps": 20, "rates": (0.1,)})
