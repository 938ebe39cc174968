"""Gather a seed's minibatches: the same for every cell of that seed, data set and batch size."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from init_bench.datasets import Dataset
from init_bench.training.minibatch_indices import BLOCK, sample_indices

PADDING = 32
"""Minibatches are padded to a multiple of this. Torch computes the last values of a tensor, where
they do not fill a vector register, by another formula; padding keeps a cell's bits from depending
on its place in the stack."""


COLUMNS = 16
"""The used columns are rounded up to a multiple of this, a cache line of float32."""


@dataclass(frozen=True)
class Minibatch:
    """Hold the samples of one step and seed, on the device of the data.

    Shapes:
        plain: inputs ``(batch_size, *shape)``, targets ``(batch_size,)``.
        padded with copies of the first sample: inputs ``(padded_size, columns)``, the leading
        columns of the sorted inputs, all others being 0 in every sample; targets
        ``(padded_size,)``.
    """

    inputs: Tensor
    targets: Tensor


def padded_size(batch_size: int) -> int:
    """Return ``batch_size`` rounded up to a multiple of the padding.

    Example:
        >>> padded_size(128), padded_size(5)
        (128, 32)
    """
    return -(-batch_size // PADDING) * PADDING


def minibatches(
    data: Dataset, seeds: Iterable[int], batch_size: int, shape: tuple[int, ...]
) -> Iterator[dict[int, Minibatch]]:
    """Yield, step after step, the plain minibatch of each seed: all columns in their order.

    Shapes:
        inputs: ``(batch_size, *shape)``; targets: ``(batch_size,)``.
    """
    sources = {
        seed: _on_device(sample_indices(len(data.targets), seed, batch_size), data.device)
        for seed in sorted(set(seeds))
    }
    while True:
        drawn = {seed: next(source) for seed, source in sources.items()}
        yield {
            seed: Minibatch(data.inputs[chosen].view(-1, *shape), data.targets[chosen])
            for seed, chosen in drawn.items()
        }


def _on_device(source: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Yield the same indices on ``device``, for which the host waits once a block."""
    while True:
        yield from torch.stack([next(source) for _ in range(BLOCK)]).to(device)


def padded_minibatches(
    data: Dataset, seeds: Iterable[int], batch_size: int, start: int = 0
) -> Iterator[dict[int, Minibatch]]:
    """Yield the same samples as ``minibatches``, padded, with only the columns that they use.

    The next step reuses the buffers. ``start`` is the first step.
    """
    sources = {seed: _padded_of_seed(data, seed, batch_size, start) for seed in sorted(set(seeds))}
    while True:
        yield {seed: next(source) for seed, source in sources.items()}


def _padded_of_seed(data: Dataset, seed: int, batch_size: int, start: int) -> Iterator[Minibatch]:
    columns, size = data.sorted_columns, padded_size(batch_size)
    inputs = torch.empty((size, data.features), dtype=columns.dtype, device=data.device)
    source = itertools.islice(sample_indices(len(data.targets), seed, batch_size), start, None)
    while True:
        drawn = torch.stack([next(source) for _ in range(BLOCK)])
        drawn = torch.cat([drawn, drawn[:, :1].expand(-1, size - batch_size)], dim=1)
        used: list[int] = columns.used[drawn].amax(dim=1).tolist()
        for indices, count in zip(drawn.to(inputs.device), used, strict=True):
            width = min(-(-count // COLUMNS) * COLUMNS, data.features)
            yield Minibatch(columns.take(indices, width, inputs), data.targets[indices])
