"""Recheck Hanin & Rolnick 2018: how much the length of the last layer varies between networks.

Read of the paper:
    the abstract; the constant 5 is derived here, not read.

Setting:
    4000 ReLU networks for each seed, shape and depth, one fixed input, zero biases.

Not rechecked:
    which networks start training (the paper's figures on epochs); convolutions.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import he_normal_, lecun_normal_
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import (
    farthest_ratio,
    last_over_first,
    over,
    value_of,
)
from init_bench.theory import length_ratio

DEPTHS = (2, 5, 10)


MEAN, RATIO = "mean length", "length ratio"


FIFTY, UNEVEN, GROWING = "width 50", "widths 100 and 33 in turn", "width 5 × depth"
XAVIER, RESIDUAL = "xavier_normal, width 50", "residual, width 25"


def measure(seeds: Sequence[int], *, networks: int = 4000) -> Tables:
    """Return moments of the last layer's squared length over many networks."""
    measured, expected = [], []
    for depth in DEPTHS:
        for series, widths in _shapes(depth).items():
            measured += list(_moments(series, widths, seeds, networks))
            if series in (FIFTY, UNEVEN, GROWING):
                expected.append((RATIO, series, depth, length_ratio(widths[1:])))
        expected += [(MEAN, FIFTY, depth, 1.0), (MEAN, XAVIER, depth, 0.5**depth)]
    return tables(measured, expected)


def _shapes(depth: int) -> dict[str, list[int]]:
    """Return the width of the input and of each hidden layer."""
    return {
        FIFTY: [50] * (depth + 1),
        UNEVEN: [50, *([100, 33] * depth)[:depth]],
        GROWING: [5 * depth] * (depth + 1),
        XAVIER: [50] * (depth + 1),
        RESIDUAL: [25] * (depth + 1),
    }


def _moments(
    series: str, widths: list[int], seeds: Sequence[int], networks: int
) -> Iterator[tuple[object, ...]]:
    depth = len(widths) - 1
    for seed in seeds:
        squares = _mean_squares(series, widths, networks, seed)
        mean = squares.mean().item()
        yield MEAN, series, depth, seed, mean
        yield RATIO, series, depth, seed, squares.square().mean().item() / mean**2


def _mean_squares(series: str, widths: list[int], networks: int, seed: int) -> Tensor:
    """Return ‖h‖² / n of the last layer, of each of many networks, for an input where it is 1."""
    generator = stream(seed, f"hanin2018/{series}/{len(widths)}")
    h = torch.ones(networks, widths[0], 1)
    for before, after in pairwise(widths):
        # The layers of all networks are filled as one: their fan_in is that of each.
        weights = torch.empty(networks * after, before)
        fill = lecun_normal_ if series == XAVIER else he_normal_
        branch = fill(weights, generator=generator).view(networks, after, before)
        if series == RESIDUAL:
            h = h + (branch @ h).relu() / math.sqrt(len(widths) - 1)
        else:
            h = (branch @ h).relu()
    return h.double().square().mean((1, 2))


_MEAN = "mean over networks of ‖h‖²/n of the last layer, 1 at the input"


_RATIO = "E‖h‖⁴ / (E‖h‖²)² of the last layer"


PICTURES = {
    "moments": Picture(
        (
            Panel(RATIO, "hidden layers", _RATIO, title="Spread of lengths"),
            Panel(MEAN, "hidden layers", "mean ‖h‖²/n", title="Mean length", log_y=True),
        ),
        "Left: how much the length of the last layer varies between networks drawn alike; "
        "dashed: Π(1 + 5/n). Right: its mean; dashed: 1 for He, 2^(-depth) for Xavier. Bands: "
        "lowest to highest of the seeds, 4000 networks each.",
        claims=(
            Claim(
                "he-keeps-the-mean",
                "variance 2/fan_in keeps the mean length level",
                f"{_MEAN}, 10 layers of 50",
                value_of(MEAN, FIFTY),
                low=0.9,
                high=1.1,
            ),
            Claim(
                "xavier-loses-the-mean",
                "popular initializations fail this: Xavier's length vanishes with depth",
                f"{_MEAN}, 10 layers of 50, xavier_normal (which is 1/√n here)",
                value_of(MEAN, XAVIER),
                high=0.01,
            ),
            Claim(
                "ratio-is-exact",
                "the ratio of moments is Π(1 + 5/n): exponential in Σ 1/n",
                f"{_RATIO}, relative distance from it, largest of three depths",
                farthest_ratio(RATIO, FIFTY),
                frame="ratio",
                high=0.2,
            ),
            Claim(
                "sum-decides",
                "Σ 1/n decides, not the widths: 100 and 33 in turn are as 50",
                f"{_RATIO}, widths 100 and 33 over width 50, 10 layers",
                over(RATIO, UNEVEN, FIFTY),
                low=0.8,
                high=1.25,
            ),
            Claim(
                "constant-sum-avoids-it",
                "keeping Σ 1/n constant avoids the second failure mode",
                f"{_RATIO}, width 5 × depth, 10 layers over 2 (Σ 1/n = 0.2)",
                last_over_first(RATIO, GROWING),
                high=1.5,
            ),
            Claim(
                "residual-never",
                "it never occurs in residual networks whose branches are scaled",
                f"{_RATIO}, residual of width 25, branches times 1/√depth, 10 layers",
                value_of(RATIO, RESIDUAL),
                high=1.5,
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, quick={"networks": 200})
