"""Compare samples of a layer, or rows of a weight, with each other."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from init_bench.statistics.formulas import power_near
from init_bench.statistics.sums.accelerator import exact

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
    """

    powers: Sequence[float]
    number: int
    correlation: float


def compared_shape(z: Tensor) -> tuple[int, int]:
    """Return how many samples of ``z`` are compared, and at every which unit."""
    return min(len(z), COMPARED_SAMPLES), -(-z.shape[1] // COMPARED_UNITS)


def compared(z: Tensor, mean: float, std: float, small: Sequence[float], matrix: Array) -> Compared:
    """Compare the first samples of ``z``, ``(samples, units)``, at evenly spaced units.

    Args:
        z: a layer's values, on any device.
        mean, std: of all values.
        small: as of ``power_sums``.
        matrix: is written, as by ``loop_statistics``.

    Example:
        >>> from init_bench.statistics.number_formats import SMALL
        >>> z, matrix = torch.tensor([[1.0, 2.0], [3.0, 1.0]]), np.zeros((2, 2))
        >>> round(compared(z, 0.0, 1.0, SMALL, matrix).correlation, 6)
        1.0
    """
    # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
    from init_bench.statistics.compared_loops import loop_compared

    samples, step = compared_shape(z)
    values = exact(z[:samples, ::step])
    scale = power_near(max(abs(mean), std))
    products, means, powers = _transferred(values, scale, mean, std, small)
    correlation = loop_compared(products, means, values.shape[1], ROUNDING, matrix)
    return Compared(powers, values.numel(), correlation)


def _transferred(
    values: Tensor, scale: float, mean: float, std: float, small: Sequence[float]
) -> tuple[Array, Array, list[float]]:
    """Return products of centered samples, means and power sums, brought over in one transfer."""
    means = values.mean(dim=1, keepdim=True)
    centered = (values - means) * scale
    parts = (
        (centered @ centered.T).flatten(),
        means.flatten() * scale,
        power_sums(values, mean, std, small),
    )
    flat = torch.cat(parts).cpu().double().numpy()
    products, found, sums = np.split(flat, [len(values) ** 2, len(values) * (len(values) + 1)])
    return products.reshape(len(values), -1), found, sums.tolist()


def power_sums(values: Tensor, mean: float, std: float, small: Sequence[float]) -> Tensor:
    """Return Σy, Σy², Σy³, Σy⁴, the number of zeros and those of values up to each of ``small``.

    y is (value − ``mean``) / ``std``: its powers stay in range whatever the scale. The sums stay on
    the values' device.

    Example:
        >>> power_sums(torch.tensor([[0.0, 2.0]]), 1.0, 1.0, (0.5,))[:5].tolist()
        [0.0, 2.0, 0.0, 2.0, 1.0]
    """
    inverse, flat = 1 / std if std else 0.0, values.reshape(-1)
    deviation = (flat - mean) * inverse
    powers = torch.stack([torch.ones_like(flat), deviation, deviation.square()])
    products = powers @ powers[1:].T
    size = flat.abs()
    counts = torch.stack([size <= limit for limit in (0.0, *small)]).sum(1)
    return torch.cat([products[0], products[1:, 1], counts.to(flat.dtype)])


@dataclass
class EffectiveRanks:
    """Compute the effective ranks of many layers together, which costs a third of one by one.

    Threads may share it.

    Example:
        >>> ranks, statistics = EffectiveRanks(), {}
        >>> ranks.add(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), statistics)
        >>> ranks.fill()
        >>> round(statistics["effective_rank"], 6)
        3.0
    """

    waiting: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    lanes: dict[int, Array] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)

    @property
    def any_wait(self) -> bool:
        """Whether some effective ranks were not written yet."""
        return any(self.waiting.values())

    def add(self, matrix: Array, statistics: dict[str, float]) -> None:
        """Remember to write the effective rank of a tridiagonal matrix into ``statistics``.

        The matrix, ``(2, size)``, is copied into a buffer for many. Small arrays that outlive a
        layer's gradient would sit in the memory it leaves, and the next would need new memory.
        """
        # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
        from init_bench.statistics.eigenvalues import LANES

        size = matrix.shape[1]
        with self.lock:
            if size not in self.lanes:
                self.lanes[size], self.waiting[size] = np.zeros((2, size, LANES)), []
            waiting = self.waiting[size]
            self.lanes[size][:, :, len(waiting)] = matrix
            waiting.append(statistics)
            if len(waiting) == LANES:
                self._fill(size)

    def fill(self) -> None:
        """Write the effective ranks that were not written yet."""
        with self.lock:
            for size, waiting in self.waiting.items():
                if waiting:
                    self._fill(size)

    def _fill(self, size: int) -> None:
        """Write the effective ranks of the layers of one size."""
        # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
        from init_bench.statistics.eigenvalues import loop_effective_ranks

        lanes, waiting = self.lanes[size], self.waiting[size]
        found: Any = loop_effective_ranks(lanes[0], lanes[1], ROUNDING).tolist()
        for rank, statistics in zip(found, waiting, strict=False):
            statistics["effective_rank"] = rank
        waiting.clear()
        lanes.fill(0)
