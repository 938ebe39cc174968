"""Compare samples of a layer, or rows of a weight, with each other."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

COMPARED_SAMPLES = 64
"""``correlation`` and ``effective_rank`` compare this many samples or rows of a weight (the first):
the eigenvalues of all would, for wide layers, cost more than the forward pass."""


COMPARED_UNITS = 512
"""Of more units than these, they take every k-th in the order of memory, with the least k that
leaves no more."""


ROUNDING = 1e-7
"""Singular values below this share of the largest are float32 rounding and count as 0."""


Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def compared_shape(z: Tensor) -> tuple[int, int]:
    """Return how many samples of ``z`` are compared, and at every which unit."""
    return min(len(z), COMPARED_SAMPLES), -(-z.shape[1] // COMPARED_UNITS)


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
