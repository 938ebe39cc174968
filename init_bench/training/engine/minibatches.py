"""Which samples a seed sees: the same for every cell of that seed, data set and batch size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from init_bench.datasets import Dataset
from init_bench.training.sampling import BLOCK, sample_indices

LANES = 32
"""Minibatches are filled up to a multiple of this. Torch computes the last values of a tensor,
where they do not fill a vector register, by another formula; full lanes keep a cell's bits from
depending on its place in the stack."""


COLUMNS = 16
"""The used columns are rounded up to a multiple of this, a cache line of float32."""


@dataclass(frozen=True)
class Minibatch:
    """The samples of one step and seed, filled up with copies of the first one.

    Shapes:
        inputs: ``(lanes, columns)``, the leading columns of the sorted inputs: all others are 0
        in every sample; targets: ``(lanes,)``. Both on the device of the data.
    """

    inputs: Tensor
    targets: Tensor


def lanes(batch_size: int) -> int:
    """Return ``batch_size`` rounded up to full lanes.

    Example:
        >>> lanes(128), lanes(5)
        (128, 32)
    """
    return -(-batch_size // LANES) * LANES


def whole_minibatches(
    data: Dataset, seeds: Iterable[int], batch_size: int, shape: tuple[int, ...]
) -> Iterator[dict[int, Minibatch]]:
    """Yield the same samples as ``minibatches``, all columns in their order, none filled up.

    Shapes:
        inputs: ``(batch_size, *shape)``; targets: ``(batch_size,)``.
    """
    sources = {
        seed: _brought(sample_indices(len(data.targets), seed, batch_size), data.device)
        for seed in sorted(set(seeds))
    }
    while True:
        drawn = {seed: next(source) for seed, source in sources.items()}
        yield {
            seed: Minibatch(data.inputs[chosen].view(-1, *shape), data.targets[chosen])
            for seed, chosen in drawn.items()
        }


def _brought(source: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Yield the same indices on ``device``, for which the host waits once a block."""
    while True:
        yield from torch.stack([next(source) for _ in range(BLOCK)]).to(device)


def minibatches(
    data: Dataset, seeds: Iterable[int], batch_size: int
) -> Iterator[dict[int, Minibatch]]:
    """Yield, step after step, the minibatch of each seed, in buffers that the next step reuses."""
    sources = {seed: _minibatches_of(data, seed, batch_size) for seed in sorted(set(seeds))}
    while True:
        yield {seed: next(source) for seed, source in sources.items()}


def _minibatches_of(data: Dataset, seed: int, batch_size: int) -> Iterator[Minibatch]:
    columns = data.sorted_columns
    inputs = columns.inputs.new_empty((lanes(batch_size), data.features))
    source = sample_indices(len(data.targets), seed, batch_size)
    while True:
        drawn = torch.stack([next(source) for _ in range(BLOCK)])
        filler = drawn[:, :1].expand(-1, lanes(batch_size) - batch_size)
        drawn = torch.cat([drawn, filler], dim=1)
        used: list[int] = columns.used[drawn].amax(dim=1).tolist()
        for indices, count in zip(drawn.to(inputs.device), used, strict=True):
            torch.index_select(columns.inputs, 0, indices, out=inputs)
            width = min(-(-count // COLUMNS) * COLUMNS, data.features)
            yield Minibatch(inputs[:, :width], data.targets[indices])
