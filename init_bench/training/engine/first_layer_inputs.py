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


@dataclass
class Scratch:
    """Keep memory from step to step, as much as was ever asked for at once.

    Example:
        >>> scratch = Scratch()
        >>> scratch.of(3, 4).shape, scratch.of(2, 2).shape, scratch.memory.numel()
        (torch.Size([3, 4]), torch.Size([2, 2]), 12)
    """

    memory: Tensor = field(default_factory=lambda: torch.empty(0))

    def of(self, rows: int, columns: int) -> Tensor:
        """Return a float32 matrix that holds anything."""
        if self.memory.numel() < rows * columns:
            self.memory = torch.empty(rows * columns, dtype=torch.float32)
        return self.memory[: rows * columns].view(rows, columns)


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
        # Imported here: Numba takes 0.4 s to load, and only some data needs it.
        from init_bench.training.engine.sparse_loops import multiply

        by_sample, data = self.scratch.of(len(self.samples), weight.shape[1]), self.data
        multiply(
            data.starts, data.columns, data.pixels, BRIGHTNESS, self.samples,
            weight.numpy(), by_sample.numpy(),
        )  # fmt: skip
        out.copy_(by_sample.mT)

    def accumulate(self, rule: UpdateRule, delta: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says."""
        from init_bench.training.engine.sparse_loops import add_products  # here, as above

        rows = rule.accumulator.flatten(1)
        if rule.overwrites:
            rows.zero_()
        by_sample = self.scratch.of(len(self.samples), len(delta)).copy_(delta.mT)
        scale = np.float32(rule.accumulate_scale)
        add_products(*self._by_column, scale, by_sample.numpy(), rows.numpy())

    @cached_property
    def _by_column(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from init_bench.training.engine.sparse_loops import by_column

        data = self.data
        found: tuple[np.ndarray, np.ndarray, np.ndarray] = by_column(
            data.starts, data.columns, data.pixels, BRIGHTNESS, self.samples, self.features
        )
        return found


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
