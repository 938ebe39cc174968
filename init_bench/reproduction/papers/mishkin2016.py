"""Recheck Mishkin & Matas 2016: LSUV makes each layer's output have unit variance, and trains.

Read of the paper:
    the abstract, and a reader's summary of its experiments. The paper trains convolutional networks
    on MNIST, CIFAR and ImageNet; here 20-layer MLPs on MNIST.

Setting:
    784-100-…-10 MLPs of 20 layers on MNIST, SGD, batch 128, rates 0.01, 0.03, 0.1.
    "Learning" means a training loss of at most 1 after 150 steps, less than half of chance (2.303):
    a limit of ours.

Not rechecked:
    maxout, test accuracies on CIFAR and ImageNet, comparisons with FitNets and Highway networks.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim, Values
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.network_training import train
from init_bench.reproduction.papers.profiles import initial_layers
from init_bench.reproduction.papers.quantities import farthest, least, ratio
from init_bench.training.grid import Grid

DEPTH = 20


INITS = ("lsuv", "orthogonal", "he_normal", "xavier_normal")


ACTIVATIONS = ("relu", "tanh")


RATES = (0.01, 0.03, 0.1)


def measure(
    seeds: Sequence[int], *, width: int = 100, steps: int = 150, rates: Sequence[float] = RATES
) -> Tables:
    """Return losses at the best rate, and the std of each layer's output at the start."""
    grid = Grid(
        init=list(INITS),
        activation=list(ACTIVATIONS),
        width=width,
        depth=DEPTH,
        lr=list(rates),
        seed=list(seeds),
        steps=steps,
        capture_at=[0],
    )
    cells, layers = train([grid])
    finite = cells.assign(loss=cells["final_loss"].where(cells["final_loss"] < math.inf))
    measured: list[tuple[object, ...]] = [
        (_loss(row["activation"]), row["init"], row["lr"], row["seed"], row["loss"])
        for row in finite.to_dict("records")
    ]
    measured += list(_stds(layers[layers["lr"] == rates[0]]))
    expected = [
        (_std(phi), "lsuv", layer, 1.0) for phi in ACTIVATIONS for layer in range(1, DEPTH + 1)
    ]
    return tables(measured, expected)


def _stds(layers: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    for row in initial_layers(layers, "pre_activation").to_dict("records"):
        yield _std(str(row["activation"])), row["init"], row["at"], row["seed"], row["std"]


def _loss(activation: str) -> str:
    return f"loss, {activation}"


def _std(activation: str) -> str:
    return f"std, {activation}"


_LOSS = "loss of the last 50 of 150 steps at the best of three rates, 20 layers"


def _over_best_other(activation: str) -> Values:
    """Return LSUV's loss over the least of the other starts, by seed."""
    lsuv, *others = (least(_loss(activation), init) for init in INITS)

    def best(table: pd.DataFrame) -> pd.Series:
        least_of_all: pd.Series = pd.concat([one(table) for one in others], axis=1).min(axis=1)
        return least_of_all

    return ratio(lsuv, best)


PICTURES = {
    "std": Picture(
        tuple(
            Panel(_std(phi), "layer", "std of pre-activations", title=phi, log_y=True)
            for phi in ACTIVATIONS
        ),
        "Spread of each layer's output before training, on 512 samples of MNIST. Dashed: 1.",
        claims=tuple(
            Claim(
                f"unit-variance-{phi}",
                f"LSUV gives each layer's output unit variance: {phi}",
                "distance from 1 of the std of pre-activations, largest of 20 layers, on "
                "samples most of which LSUV did not see",
                farthest(_std(phi), "lsuv", center=1.0),
                high=0.15,
            )
            for phi in ACTIVATIONS
        ),
    ),
    "loss": Picture(
        tuple(
            Panel(_loss(phi), "learning rate", "loss", title=phi, log_x=True, low_y=0.0)
            for phi in ACTIVATIONS
        ),
        "Mean loss of the last 50 of 150 steps, by learning rate; bands: lowest to highest "
        "seed. A rate at which a run diverged has no point for it.",
        claims=(
            *(
                Claim(
                    f"trains-{phi}",
                    f"it leads to learning of very deep networks: {phi}",
                    _LOSS,
                    least(_loss(phi), "lsuv"),
                    high=1.0,
                )
                for phi in ACTIVATIONS
            ),
            *(
                Claim(
                    f"better-or-equal-{phi}",
                    f"and is better than or equal to standard methods: {phi}",
                    f"{_LOSS}, lsuv over the best of orthogonal, he_normal, xavier_normal",
                    _over_best_other(phi),
                    high=1.1,
                )
                for phi in ACTIVATIONS
            ),
            Claim(
                "scale-matters-relu",
                "orthonormal weights alone are not enough: relu",
                f"{_LOSS}, lsuv over orthogonal",
                ratio(*(least(_loss("relu"), init) for init in ("lsuv", "orthogonal"))),
                high=0.8,
            ),
        ),
    ),
}


EXPERIMENT = Experiment(
    measure, PICTURES, seeds=3, quick={"width": 20, "steps": 10, "rates": (0.1,)}
)
