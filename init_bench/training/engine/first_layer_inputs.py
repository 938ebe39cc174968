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


BRIGHTNESS = (torch.arange(256) / PIXEL).numpy()
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


@dataclass(frozen=True, eq=False)
class SparseInputs:
    """Hold the samples by their pixels that are not 0. For float32 on the CPU.

    Attributes:
        data: the pixels of all images.
        samples: ``(B,)``: those of the minibatch.
        features: number of inputs.
        buffers: by number of units, memory for products sample by sample; kept from step to step.
    """

    data: NonzeroPixels
    samples: np.ndarray
    features: int
    buffers: dict[int, Tensor] = field(default_factory=dict)

    def multiply(self, weight: Tensor, out: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says."""
        # Imported here: Numba takes 0.4 s to load, and only some data needs it.
        from init_bench.training.engine.sparse_loops import multiply

        found, data = self._by_sample(weight.shape[1]), self.data
        multiply(
            data.starts, data.columns, data.pixels, BRIGHTNESS, self.samples,
            weight.numpy(), found.numpy(),
        )  # fmt: skip
        out.copy_(found.mT)

    def accumulate(self, rule: UpdateRule, delta: Tensor) -> None:
        """Do as ``FirstLayerInputs`` says."""
        # Imported here: Numba takes 0.4 s to load, and only some data needs it.
        from init_bench.training.engine.sparse_loops import add_products

        rows = rule.accumulator.flatten(1)
        if rule.overwrites:
            rows.zero_()
        by_sample = self._by_sample(len(delta)).copy_(delta.mT)
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

    def _by_sample(self, units: int) -> Tensor:
        if units not in self.buffers:
            self.buffers[units] = torch.empty(len(self.samples), units)
        return self.buffers[units]


def leaves_out_zeros(columns: SortedColumns) -> bool:
    """Return whether minibatches of this data leave zeros out: images on the CPU, mostly 0."""
    stored = columns.stored
    images = stored.dtype == torch.uint8 and stored.device.type == "cpu"
    return images and columns.density <= MOST_DENSE
