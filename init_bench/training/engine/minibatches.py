"""Gather a seed's minibatches: the same for every cell of that seed, data set and batch size."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from init_bench.datasets import Dataset
from init_bench.datasets.column_order import SortedColumns
from init_bench.training.engine.first_layer_inputs import (
    CACHE_LINE,
    DenseInputs,
    FirstLayerInputs,
    Scratch,
    SparseInputs,
    leaves_out_zeros,
)
from init_bench.training.minibatch_indices import BLOCK, index_blocks

PADDING = 32
"""Minibatches are padded to a multiple of this. Torch computes the last values of a tensor, where
they do not fill a vector register, by another formula; padding keeps a cell's bits from depending
on its place in the stack."""


@dataclass(frozen=True)
class Minibatch:
    """Hold the samples of one step and seed, on the device of the data.

    Shapes:
        inputs ``(batch_size, *shape)``, targets ``(batch_size,)``.
    """

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class PaddedMinibatch:
    """Hold the same for a stack of MLPs, padded with copies of the first sample.

    Shapes:
        inputs ``(padded_size, features)``, columns sorted by use; targets ``(padded_size,)``.
    """

    inputs: FirstLayerInputs
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
        seed: _on_device(index_blocks(len(data.targets), seed, batch_size), data.device)
        for seed in sorted(set(seeds))
    }
    while True:
        drawn = {seed: next(source) for seed, source in sources.items()}
        yield {
            seed: Minibatch(data.inputs[chosen].view(-1, *shape), data.targets[chosen])
            for seed, chosen in drawn.items()
        }


def _on_device(blocks: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Yield the indices of each step on ``device``, for which the host waits once a block."""
    for block in blocks:
        yield from block.to(device)


def padded_minibatches(
    data: Dataset,
    seeds: Iterable[int],
    batch_size: int,
    *,
    start: int = 0,
    precision: str = "float32",
) -> Iterator[dict[int, PaddedMinibatch]]:
    """Yield the same samples as ``minibatches``, padded, with only the columns that they use.

    Or, where most values are 0, with only the others. The next step reuses the buffers.

    Args:
        start: the first step.
        precision: of the products.
    """
    columns = data.sorted_columns
    sparse = precision == "float32" and leaves_out_zeros(columns)
    dense = partial(_leading_columns, columns, padded_size(batch_size))
    inputs_of = partial(_without_zeros, columns) if sparse else dense
    sources = {
        seed: _padded_of_seed(data, seed, batch_size, start, inputs_of)
        for seed in sorted(set(seeds))
    }
    while True:
        yield {seed: next(source) for seed, source in sources.items()}


Draws = Iterator[Tensor]
"""The samples of a block of steps, ``(steps, padded_size)``, on the CPU; block after block."""


def _padded_of_seed(
    data: Dataset,
    seed: int,
    batch_size: int,
    start: int,
    inputs_of: Callable[[Draws], Iterator[FirstLayerInputs]],
) -> Iterator[PaddedMinibatch]:
    draws, same_draws = itertools.tee(_padded_draws(data, seed, batch_size, start))
    targets = (one for drawn in same_draws for one in data.targets[drawn.to(data.device)])
    yield from map(PaddedMinibatch, inputs_of(draws), targets)


def _padded_draws(data: Dataset, seed: int, batch_size: int, start: int) -> Draws:
    blocks = index_blocks(len(data.targets), seed, batch_size)
    for first, block in zip(itertools.count(step=BLOCK), blocks, strict=False):
        drawn = block[max(start - first, 0) :]
        copies = drawn[:, :1].expand(-1, padded_size(batch_size) - batch_size)
        if len(drawn):
            yield torch.cat([drawn, copies], dim=1)


def _leading_columns(columns: SortedColumns, size: int, draws: Draws) -> Iterator[DenseInputs]:
    features = len(columns.order)
    buffer = torch.empty((size, features), dtype=columns.dtype, device=columns.stored.device)
    for drawn in draws:
        used: list[int] = columns.used[drawn].amax(dim=1).tolist()
        for samples, count in zip(drawn.to(buffer.device), used, strict=True):
            width = min(-(-count // CACHE_LINE) * CACHE_LINE, features)
            yield DenseInputs(columns.take(samples, width, buffer))


def _without_zeros(columns: SortedColumns, draws: Draws) -> Iterator[SparseInputs]:
    features, scratch = len(columns.order), Scratch()
    for drawn in draws:
        for samples in drawn.numpy():
            yield SparseInputs(columns.nonzero, samples, features, scratch)
