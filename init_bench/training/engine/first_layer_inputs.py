"""Multiply the first layer of a stack with a minibatch: with all of its values, or without zeros.

Of an image of handwriting four pixels in five are 0. What is left takes fewer operations than the
matrix library saves by its speed, and the samples are read where they lie, never copied.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from init_bench.datasets.column_order import PIXEL, NonzeroPixels, SortedColumns
from init_bench.training.engine.update_rule import UpdateRule, accumulate

MOST_DENSE = 0.25
"""Share of values that are not 0 up to which zeros are left out. At 0.19 (MNIST) that takes 0.7 of
the time of the matrix library's product on a CPU with AVX-512."""


MOST_FEATURES = 2**16
"""More cannot be numbered by ``NonzeroPixels``."""


CACHE_LINE = 16
"""Float32 values of a cache line."""


BRIGHTNESS = (torch.arange(256, dtype=torch.float32) / PIXEL).numpy()
"""The value of each byte."""


class FirstLayerInputs(Protocol):
    """The samples x of a minibatch, ``(B, features)``, as the first layer takes them."""

    def multiply(self, weight: Tensor, out: Tensor) -> None:
        """Write (x · weight)ᵀ into ``out``.

        Shapes:
            weight: ``(features, units)``; out: ``(units, B)``.
        """

    def accumulate(self, rule: UpdateRule, delta: Tensor) -> None:
        """Add xᵀ · deltaᵀ, scaled as the rule says, to its accumulator; or overwrite it.

        Shapes:
            delta: ``(units, B)``.
        """


@dataclass(frozen=True)
class DenseInputs:
    """Hold the leading columns of the samples, ``(B, columns)``, all others being 0."""

    values: Tensor

    def multiply(self, weight: Tensor, out: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says, in the type of ``out``."""
        x = self.values.to(out.dtype)
        torch.mm(weight[: x.shape[1]].to(out.dtype).mT, x.mT, out=out)

    def accumulate(self, rule: UpdateRule, delta: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says; the gradient of columns left out is 0."""
        rows, x = rule.accumulator.flatten(1), self.values.to(delta.dtype)
        accumulate(rule, rows[: x.shape[1]], x.mT, delta.mT)
        if rule.overwrites:
            rows[x.shape[1] :].zero_()


def padded_rows(rows: int, units: int, *, like: Tensor) -> Tensor:
    """Return a matrix of 0 whose rows are an odd number of cache lines apart.

    A row that begins within a line takes half as long again to read, and rows an even number apart
    push each other out of the cache. Type and device are those of ``like``.

    Example:
        >>> matrix = padded_rows(3, 20, like=torch.empty(0))
        >>> matrix.shape, matrix.stride()
        (torch.Size([3, 20]), (48, 1))
    """
    lines = -(-units // CACHE_LINE) | 1
    return like.new_zeros(rows, lines * CACHE_LINE)[:, :units]


def _with_padding(rows: Tensor) -> np.ndarray:
    """Return a matrix with the padding behind its rows, if it is one of ``padded_rows``."""
    width, memory = rows.stride(0), rows.untyped_storage()
    padded = width % CACHE_LINE == 0 and width - rows.shape[1] < 2 * CACHE_LINE
    if padded and len(rows) * width * rows.itemsize == memory.nbytes():
        return rows.as_strided((len(rows), width), (width, 1)).numpy()
    return rows.numpy()


@dataclass
class Scratch:
    """Keep a matrix from step to step, for as long as one of its shape is asked for.

    Example:
        >>> scratch = Scratch()
        >>> scratch.of(3, 4) is scratch.of(3, 4)
        True
    """

    matrix: Tensor = field(default_factory=lambda: torch.empty(0))

    def of(self, rows: int, units: int) -> Tensor:
        """Return a float32 matrix that holds anything."""
        if self.matrix.shape != (rows, units):
            self.matrix = padded_rows(rows, units, like=self.matrix)
        return self.matrix


ByRow = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A sparse matrix: where each row begins, the column of each entry, and its value."""


@dataclass(frozen=True, eq=False)
class SparseInputs:
    """Hold the samples by their pixels that are not 0. For float32 on the CPU.

    A weight that is infinite or nan reaches only the samples that use its pixel: there is no 0 · ∞.

    Attributes:
        data: the pixels of all images.
        samples: numbers of the images of the minibatch, ``(B,)``.
        features: number of inputs.
        scratch: memory for products sample by sample.
    """

    data: NonzeroPixels
    samples: np.ndarray
    features: int
    scratch: Scratch = field(default_factory=Scratch)

    def multiply(self, weight: Tensor, out: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says."""
        by_sample = self.scratch.of(len(self.samples), weight.shape[1]).zero_()
        _add_products(self._by_sample, 1, weight, by_sample)
        out.copy_(by_sample.mT)

    def accumulate(self, rule: UpdateRule, delta: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says."""
        rows = rule.accumulator.flatten(1)
        if rule.overwrites:
            rows.zero_()
        by_sample = self.scratch.of(len(self.samples), len(delta)).copy_(delta.mT)
        _add_products(self._by_column, rule.accumulate_scale, by_sample, rows)

    @cached_property
    def _by_sample(self) -> ByRow:
        # Imported here, as below: Numba takes 0.4 s to load, and only some data needs it.
        from init_bench.training.engine.sparse_loops import by_sample

        data = self.data
        found: ByRow = by_sample(data.starts, data.columns, data.pixels, BRIGHTNESS, self.samples)
        return found

    @cached_property
    def _by_column(self) -> ByRow:
        from init_bench.training.engine.sparse_loops import by_column

        found: ByRow = by_column(*self._by_sample, self.features)
        return found


def _add_products(sparse: ByRow, scale: int, matrix: Tensor, into: Tensor) -> None:
    """Add ``sparse`` times ``matrix``, scaled, to ``into``."""
    from init_bench.training.engine.sparse_loops import add_products

    arrays = _with_padding(matrix), _with_padding(into)
    add_products(*sparse, np.float32(scale), *arrays, matrix.shape[1])


def leaves_out_zeros(columns: SortedColumns) -> bool:
    """Return whether minibatches of this data leave zeros out: images on the CPU, mostly 0.

    Example:
        >>> from init_bench.datasets.column_order import sort_columns
        >>> images = torch.tensor([[0, 0, 0, 0, 9]], dtype=torch.uint8)
        >>> leaves_out_zeros(sort_columns(images)), leaves_out_zeros(sort_columns(images + 1))
        (True, False)
    """
    stored = columns.stored
    images = stored.dtype == torch.uint8 and stored.device.type == "cpu"
    return images and columns.density <= MOST_DENSE and stored.shape[1] <= MOST_FEATURES
