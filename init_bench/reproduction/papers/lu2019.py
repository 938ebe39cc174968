"""Recheck Lu et al. 2019: how often a deep, narrow ReLU network is dead before it trains.

Read of the paper:
    the abstract and the introduction; the exact formula is derived here for one input.

Setting:
    4000 ReLU networks for each seed and width, N(0, 1) input, He's weights, no biases.

Not rechecked:
    the paper's own remedy, randomized asymmetric initialization, which is not on the menu; its
    bounds for several inputs.
"""

from collections.abc import Iterator, Sequence

import torch

from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import he_normal_
from init_bench.reproduction.claim_verdicts import SHARES, Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import farthest, over, value_of
from init_bench.theory import dead_probability

DEPTHS = (1, 2, 3, 5, 10, 15, 20, 30, 40)


WIDTHS = (2, 3, 4, 8)


DEAD = "dead"


INPUTS = 100
"""Inputs of the second measurement: a network is dead if it is so on all of them."""


def measure(seeds: Sequence[int], *, networks: int = 4000) -> Tables:
    """Return the share of networks in which some layer is all 0, on one input and on many."""
    measured, expected = [], []
    for width in WIDTHS:
        series = f"width {width}"
        for seed in seeds:
            measured += list(_shares(series, width, 1, seed, networks))
        expected += [(DEAD, series, depth, dead_probability([width] * depth)) for depth in DEPTHS]
    for seed in seeds:
        measured += list(_shares(f"width 2, dead on all of {INPUTS}", 2, INPUTS, seed, networks))
    return tables(measured, expected)


def _shares(
    series: str, width: int, inputs: int, seed: int, networks: int
) -> Iterator[tuple[object, ...]]:
    """Yield the share of dead networks at each depth: those of a depth are among the deeper."""
    generator = stream(seed, f"lu2019/{series}")
    h = torch.randn(networks, width, inputs, generator=generator)
    for depth in range(1, max(DEPTHS) + 1):
        weights = he_normal_(torch.empty(networks * width, width), generator=generator)
        h = (weights.view(networks, width, width) @ h).relu()
        h = h / h.amax((1, 2), keepdim=True).clamp_min(1e-30)  # so that small is not taken for 0
        if depth in DEPTHS:
            dead = (h == 0).all(dim=2).all(dim=1)
            yield DEAD, series, depth, seed, dead.double().mean().item()


_DEAD = "share of networks with a layer of ReLUs that are all 0"


PICTURES = {
    "dead": Picture(
        (Panel(DEAD, "hidden layers", "share of dead networks", low_y=0.0),),
        "Share of networks in which all ReLUs of some layer are 0, so that the output is "
        "constant and no gradient passes. Dashed: 1 - (1 - 2^(-n))^L, exact for one input.",
        claims=(
            Claim(
                "exact",
                "P(dead on one input) = 1 - Π(1 - 2^(-n))",
                f"{_DEAD}: largest distance from the formula, of {len(WIDTHS) * len(DEPTHS)}",
                farthest(DEAD),
                frame="difference",
                high=0.03,
            ),
            Claim(
                "dies-with-depth",
                "a ReLU network dies in probability as its depth grows",
                f"{_DEAD}, width 2, 40 layers",
                value_of(DEAD, "width 2"),
                within=SHARES,
                low=0.99,
            ),
            Claim(
                "width-helps",
                "and lives the longer the wider it is",
                f"{_DEAD}, 40 layers, width 8 over width 4",
                over(DEAD, "width 8", "width 4"),
                high=0.25,
            ),
            Claim(
                "dead-on-all-inputs",
                "so it does for all inputs at once",
                f"{_DEAD} on each of {INPUTS} inputs, width 2, 40 layers",
                value_of(DEAD, f"width 2, dead on all of {INPUTS}"),
                within=SHARES,
                low=0.99,
            ),
        ),
    )
}


EXPERIMENT = Experiment(measure, PICTURES, quick={"networks": 300})
