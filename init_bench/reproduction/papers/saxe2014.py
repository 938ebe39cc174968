"""Recheck Saxe et al. 2014: how long deep linear networks take to learn, by depth and start.

Read of the paper:
    the abstract and a summary; the formula of the learning time is recalled. The paper trains on
    MNIST; here the inputs are white and the loss is exact.

Setting:
    Deep linear networks 32-32-…-8, full-batch gradient descent, 13 rates from 0.02/L to 2/L, the
    best for each start, depth and seed; at most 500 steps.
    "Learned" means a loss of 5 % of that of a network whose output is 0: a limit of ours.

Not rechecked:
    nonlinear networks at the edge of chaos; greedy pretraining.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import normal_, orthogonal_
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import farthest_ratio, last_over_first, over
from init_bench.theory import learning_time

DEPTHS = (2, 4, 8, 16, 32)


OUTPUTS = 8


STEPS_TO, FLOW = "steps", "time of one mode"


ORTHOGONAL, GAUSSIAN, ALIGNED = "orthogonal", "gaussian, 1/√n", "aligned start"


REACHED = 0.05
"""A network has learned when its loss is this share of that of a network whose output is 0."""


RATES = tuple(float(rate) for rate in np.geomspace(0.02, 2.0, 13))
"""Learning rates, each divided by the number of layers."""


def measure(
    seeds: Sequence[int], *, width: int = 32, steps: int = 500, depths: Sequence[int] = DEPTHS
) -> Tables:
    """Return steps to learn at the best rate, and the time in which one mode is learned."""
    measured: list[tuple[object, ...]] = []
    for depth in depths:
        for start in (ORTHOGONAL, GAUSSIAN):
            measured += list(_steps_to_learn(start, depth, seeds, width, steps))
        measured += [(FLOW, ALIGNED, depth, seed, _mode_time(depth, seed)) for seed in seeds]
    flow = [(FLOW, ALIGNED, depth, learning_time(1.0, 0.1, 0.9, layers=depth)) for depth in depths]
    return tables(measured, flow)


def _steps_to_learn(
    start: str, depth: int, seeds: Sequence[int], width: int, steps: int
) -> Iterator[tuple[object, ...]]:
    """Yield each seed's steps at the rate that is best for it: gradient descent, full batch.

    The inputs are white, so the loss is ½ ‖W_L … W_1 − A‖² with A the input-output correlations.
    All seeds and rates are trained at once; a network that never learns counts all steps.
    """
    target = torch.stack([_target(seed, width) for seed in seeds]).repeat_interleave(len(RATES), 0)
    weights = [
        torch.stack([_weight(start, depth, at, seed, width) for seed in seeds]).repeat_interleave(
            len(RATES), 0
        )
        for at in range(depth)
    ]
    rates = torch.tensor(RATES).repeat(len(seeds))[:, None, None] / depth
    goal, needed = REACHED * target.square().sum((1, 2)), torch.full((len(target),), float(steps))
    for step in range(steps):
        below = [torch.eye(width).expand(len(target), -1, -1)]
        for w in weights:
            below.append(w @ below[-1])
        error = below[-1] - target
        loss = error.square().sum((1, 2))
        needed = torch.where((loss < goal) & (needed == steps), float(step), needed)
        if (needed.view(len(seeds), -1).amin(dim=1) < steps).all() and step > 3 * needed.min():
            break
        for at in reversed(range(depth)):
            gradient = error @ below[at].mT
            error = weights[at].mT @ error
            weights[at] = weights[at] - rates * gradient
    for seed, best in zip(seeds, needed.view(len(seeds), -1).amin(dim=1).tolist(), strict=True):
        yield STEPS_TO, start, depth, seed, best


def _target(seed: int, width: int) -> Tensor:
    """Return A: 8 outputs, singular values from 0.5 to 1.5, directions at random."""
    generator = stream(seed, "saxe2014/target")
    left = orthogonal_(torch.empty(OUTPUTS, OUTPUTS), generator=generator)
    right = orthogonal_(torch.empty(OUTPUTS, width), generator=generator)
    return left @ torch.diag(torch.linspace(0.5, 1.5, OUTPUTS)) @ right


def _weight(start: str, depth: int, at: int, seed: int, width: int) -> Tensor:
    generator = stream(seed, f"saxe2014/{start}/{depth}/{at}")
    weight = torch.empty(OUTPUTS if at == depth - 1 else width, width)
    if start == ORTHOGONAL:
        return orthogonal_(weight, generator=generator)
    return normal_(weight, std=width**-0.5, generator=generator)


def _mode_time(depth: int, seed: int) -> float:
    """Return steps times rate in which gradient descent takes an aligned mode from 0.1 to 0.9."""
    generator = stream(seed, f"saxe2014/mode/{depth}")
    turns = [orthogonal_(torch.empty(4, 4), generator=generator).double() for _ in range(depth + 1)]
    scale = 0.1 ** (1 / depth)
    weights = [scale * turns[at + 1] @ turns[at].T for at in range(depth)]
    target, rate, time = turns[depth] @ turns[0].T, 1e-3, 0.0
    while True:
        below = [torch.eye(4, dtype=torch.float64)]
        for w in weights:
            below.append(w @ below[-1])
        if (below[-1] * target).sum() / 4 >= 0.9:
            return time
        error = below[-1] - target
        for at in reversed(range(depth)):
            gradient = error @ below[at].T
            error = weights[at].T @ error
            weights[at] = weights[at] - rate * gradient
        time += rate


_CUT = (
    "training ends after 500 steps, and a network that has not learned by then counts as 500: the "
    "ratio is at least this"
)


_STEPS = "steps of gradient descent to 5 % of the initial loss, each at its own best rate"


PICTURES = {
    "time": Picture(
        (
            Panel(STEPS_TO, "layers", "steps to learn, best rate", log_x=True, log_y=True),
            Panel(
                FLOW,
                "layers",
                "steps × rate from 0.1 to 0.9",
                title="One aligned mode",
                log_x=True,
                log_y=True,
            ),
        ),
        "Left: steps to 5 % of the loss of a zero output, each start at its own best rate; "
        "500 is as many as were tried. Right: the time of one aligned mode at a small rate; "
        "dashed: the exact solution.",
        claims=(
            Claim(
                "flow",
                "a mode that is decoupled is learned in the time of the exact solution",
                "time from 0.1 to 0.9, relative distance from it, largest of five depths",
                farthest_ratio(FLOW),
                frame="ratio",
                high=0.03,
            ),
            Claim(
                "orthogonal-flat",
                "with orthogonal weights learning time does not depend on depth",
                f"{_STEPS}: 32 layers over 2, orthogonal",
                last_over_first(STEPS_TO, ORTHOGONAL),
                high=2.0,
                of_ratios=True,
            ),
            Claim(
                "gaussian-grows",
                "with scaled Gaussian weights it grows with depth",
                f"{_STEPS}: 32 layers over 2, Gaussian",
                last_over_first(STEPS_TO, GAUSSIAN),
                low=3.0,
                of_ratios=True,
                note=_CUT,
            ),
            Claim(
                "orthogonal-faster",
                "so deep networks learn faster from orthogonal weights",
                f"{_STEPS}: 32 layers, Gaussian over orthogonal",
                over(STEPS_TO, GAUSSIAN, ORTHOGONAL),
                low=3.0,
                of_ratios=True,
                note=_CUT,
            ),
        ),
    )
}


EXPERIMENT = Experiment(
    measure, PICTURES, seeds=3, quick={"width": 12, "steps": 100, "depths": (2, 4)}
)
