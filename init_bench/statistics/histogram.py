"""Count a layer's values in bins, in multiples of their RMS."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from init_bench.statistics.layer_statistics import real_parts
from init_bench.statistics.layer_statistics import rms as rms_of

REACH, BINS = 4.0, 41
"""Bins lie between ± this many times the values' own RMS. An odd number: one has 0 in its middle,
so that what a ReLU sets to 0 is not split over two."""


CENTERS = tuple(REACH * (2 * at + 1 - BINS) / BINS for at in range(BINS))
"""Middle of each bin, in multiples of the RMS."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Hold how many of a layer's values lie in each bin of value / RMS.

    Attributes:
        rms: √(mean z²) of the values that are finite; 0 where none is.
        counts: of the values that are finite; what lies beyond the bins counts in the outermost.
        whole: whether all values are finite.
    """

    rms: float
    counts: list[int]
    whole: bool = True

    @property
    def shares(self) -> list[float]:
        """Share of the values in each bin: nan unless all are finite.

        Example:
            >>> Histogram(rms=1.0, counts=[1, 3]).shares
            [0.25, 0.75]
        """
        if not self.whole:
            return [math.nan] * len(self.counts)
        total = sum(self.counts)
        return [count / total for count in self.counts]


def relative_histogram(values: Tensor, numbers: Mapping[str, float]) -> Histogram:
    """Return how many of ``values`` lie in each bin of value / RMS.

    A layer's scale is in its ``std``; bins of the values' own scale show what that hides: two
    heaps at the ends of a range, one heap at 0, all values the same.

    Args:
        values: of any shape, floating point, any device.
        numbers: their ``mean`` and ``std``, as ``statistics.describe`` gives them.

    Example:
        >>> numbers = {"mean": 0.0, "std": 0.5**0.5}
        >>> found = relative_histogram(torch.tensor([0.0, 0.0, 1.0, -1.0]), numbers)
        >>> found.counts[BINS // 2], sum(found.counts)
        (2, 4)
    """
    rms = math.hypot(numbers["mean"], numbers["std"])
    if math.isfinite(rms):
        return Histogram(rms, _counts(real_parts(values), rms))
    parts = real_parts(values)
    finite = parts[parts.isfinite()]
    rms = rms_of(finite) if finite.numel() else 0.0
    return Histogram(rms, _counts(finite, rms), whole=False)


def bin_numbers(values: Tensor, scale: float | Tensor) -> Tensor:
    """Return the number of each value's bin, as a float from 0 up to ``BINS``, rounded down later.

    Args:
        values: floating point.
        scale: their RMS, as ``divisor`` gives it.

    Example:
        >>> bin_numbers(torch.tensor([-9.0, 0.0, 9.0]), 1.0).int().tolist()
        [0, 20, 40]
    """
    wide = values if values.dtype == torch.float64 else values.float()
    return (wide / scale).mul_(BINS / (2 * REACH)).add_(BINS / 2).clamp_(0, BINS - 1)


def divisor(rms: float) -> float:
    """Return the RMS to divide by: 1 where it is 0, nan or too small for float32.

    Example:
        >>> divisor(0.5), divisor(0.0)
        (0.5, 1.0)
    """
    return rms if rms >= torch.finfo(torch.float32).tiny else 1.0


def _counts(values: Tensor, rms: float) -> list[int]:
    # Not histc: on CUDA it has no deterministic form, and raises where the user asked for one.
    bins = bin_numbers(values, divisor(rms)).to(torch.int8).flatten()
    counts: list[int] = bins.bincount(minlength=BINS).cpu().tolist()
    return counts
