"""Compare samples of a layer, or rows of a weight, with each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from init_bench.statistics.number_formats import SMALL, power_sums
from init_bench.statistics.sums import exact

COMPARED_SAMPLES = 64
"""``correlation`` and ``effective_rank`` compare this many samples or rows of a weight (the first):
the eigenvalues of all would, for wide layers, cost more than the forward pass."""


COMPARED_UNITS = 512
"""Of more units than these, they take every k-th in the order of memory, with the least k that
leaves no more."""


ROUNDING = 1e-7
"""Singular values below this share of the largest are float32 rounding and count as 0."""


Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Compared:
    """Hold what the comparison of some samples at some units tells.

    Attributes:
        powers: the power sums of the compared values, as ``power_sums`` returns them.
        number: how many values these are.
        correlation: mean \\|Pearson correlation over units\\| of two samples.
        tridiagonal: diagonal, and squares of the entries beside it, of a matrix whose eigenvalues
            are the squared singular values over their sum.
    """

    powers: Sequence[float]
    number: int
    correlation: float
    tridiagonal: Array


def compared(z: Tensor, mean: float, std: float) -> Compared:
    """Compare the first samples of ``z``, ``(samples, units)``, at evenly spaced units.

    Args:
        z: a layer's values; on the CPU float32 or float64.
        mean, std: of all values.

    Example:
        >>> round(compared(torch.tensor([[1.0, 2.0], [3.0, 1.0]]), 0.0, 1.0).correlation, 6)
        1.0
    """
    # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
    from init_bench.statistics.compared_loops import loop_compared, loop_compared_values

    scale = _power_near(max(abs(mean), std))
    samples, step = min(len(z), COMPARED_SAMPLES), -(-z.shape[1] // COMPARED_UNITS)
    units = -(-z.shape[1] // step)
    if z.device.type == "cpu":
        inverse = 1 / std if std else 0.0
        correlation, tridiagonal, powers = loop_compared_values(
            z.numpy(), samples, step, scale, mean, inverse, SMALL, ROUNDING
        )
    else:
        products, means, powers = _transferred(exact(z[:samples, ::step]), scale, mean, std)
        correlation, tridiagonal = loop_compared(products, means, units, ROUNDING)
    return Compared(powers, samples * units, correlation, tridiagonal)


def _power_near(size: float) -> float:
    """Return the power of two that brings ``size`` to about 1: squares stay in range."""
    return 2.0 ** -min(max(math.frexp(size)[1], -1000), 1000)


def _transferred(
    values: Tensor, scale: float, mean: float, std: float
) -> tuple[Array, Array, list[float]]:
    """Return products of centered samples, means and power sums, brought over in one transfer."""
    means = values.mean(dim=1, keepdim=True)
    centered = (values - means) * scale
    parts = (
        (centered @ centered.T).flatten(),
        means.flatten() * scale,
        power_sums(values, mean, std),
    )
    flat = torch.cat(parts).cpu().double().numpy()
    products, found, sums = np.split(flat, [len(values) ** 2, len(values) * (len(values) + 1)])
    return products.reshape(len(values), -1), found, sums.tolist()


@dataclass
class EffectiveRanks:
    """Compute the effective ranks of many layers together, which costs a third of one by one.

    Example:
        >>> ranks, found = EffectiveRanks(), {}
        >>> ranks.add(compared(torch.eye(3), 0.0, 1.0).tridiagonal, found)
        >>> ranks.fill()
        >>> round(found["effective_rank"], 6)
        3.0
    """

    waiting: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    lanes: dict[int, Array] = field(default_factory=dict)

    def add(self, tridiagonal: Array, statistics: dict[str, float]) -> None:
        """Remember to write the effective rank of a layer into its ``statistics``.

        The matrix is copied into a buffer for many. Small arrays that outlive a layer's gradient
        would sit in the memory it leaves, and the next gradient would need new memory.
        """
        # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
        from init_bench.statistics.eigenvalues import LANES

        size = tridiagonal.shape[1]
        if size not in self.lanes:
            self.lanes[size] = np.zeros((2, size, LANES))
        together = self.waiting.setdefault(size, [])
        self.lanes[size][:, :, len(together)] = tridiagonal
        together.append(statistics)
        if len(together) == LANES:
            self._fill(size)

    def fill(self) -> None:
        """Write the effective ranks that were not written yet."""
        for size in list(self.waiting):
            self._fill(size)

    def _fill(self, size: int) -> None:
        """Write the effective ranks of the layers of one size."""
        # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
        from init_bench.statistics.eigenvalues import loop_effective_ranks

        lanes = self.lanes[size]
        found: Any = loop_effective_ranks(lanes[0], lanes[1], ROUNDING).tolist()
        for rank, statistics in zip(found, self.waiting.pop(size), strict=False):
            statistics["effective_rank"] = rank
        lanes.fill(0)
