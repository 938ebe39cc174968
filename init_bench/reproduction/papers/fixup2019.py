"""Recheck Zhang et al. 2019: one update of a residual network changes its output as much at any
depth, if it starts from Fixup."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from init_bench import datasets
from init_bench.init import initialize
from init_bench.reproduction.papers.experiment import (
    Tables,
    tables,
)
from init_bench.training.sampling import sample_indices

DEPTHS = (10, 30, 100, 300, 1000)


CHANGE, LOSS = "change", "loss"


FIXUP, HE = "fixup", "he_normal"


SPECS = {FIXUP: "fixup(branches='*.branch')", HE: HE}


WATCHED = (1, 3, 10)
"""Updates whose change of the output is measured."""


RATE = 0.05


class Block(nn.Module):
    """A residual block of two layers: x + W₂ φ(W₁ x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = x + self.branch(x)
        return out


def measure(
    seeds: Sequence[int],
    *,
    width: int = 32,
    steps: int = 50,
    batch_size: int = 64,
    depths: Sequence[int] = DEPTHS,
) -> Tables:
    """Return how far updates move the output, and the loss they lead to, by number of blocks."""
    measured = [
        row
        for start in (FIXUP, HE)
        for depth in depths
        for seed in seeds
        for row in _rows(start, depth, seed, (width, steps, batch_size))
    ]
    return tables(measured)


def _rows(
    start: str, depth: int, seed: int, sizes: tuple[int, int, int]
) -> Iterator[tuple[object, ...]]:
    width, steps, batch_size = sizes
    data = datasets.load("mnist")
    blocks = [Block(width) for _ in range(depth)]
    model = nn.Sequential(nn.Linear(data.features, width), *blocks, nn.Linear(width, 10))
    initialize(model, SPECS[start], seed=seed)
    indices = sample_indices(len(data.targets), seed, batch_size)
    losses = []
    for step, chosen in zip(range(1, steps + 1), indices, strict=False):
        x, y = data.inputs[chosen], data.targets[chosen]
        before = model(x)
        loss = nn.functional.cross_entropy(before, y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.sub_(RATE * gradient)
            if step in WATCHED:
                moved = (model(x) - before).square().mean().sqrt().item() / RATE
                yield CHANGE, f"{start}, update {step}", depth, seed, moved
    final = sum(losses[-10:]) / len(losses[-10:])
    yield LOSS, start, depth, seed, final if math.isfinite(final) else math.nan
