"""Compute the histogram of a layer's values, in multiples of their RMS."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from init_bench.statistics.layer_statistics import real_parts

REACH, BINS = 4.0, 41
"""Bins lie between ± this many times the values' own RMS. An odd number: one has 0 in its middle,
so that what a ReLU sets to 0 is not split over two."""


CENTERS = tuple(REACH * (2 * at + 1 - BINS) / BINS for at in range(BINS))
"""Middle of each bin, in multiples of the RMS."""


def relative_histogram(values: Tensor, numbers: Mapping[str, float]) -> list[float]:
    """Return the share of ``values`` in each bin of value / RMS.

    A layer's scale is in its ``std``; bins of the values' own scale show what that hides: two
    heaps at the ends of a range, one heap at 0, all values the same. What lies beyond the bins
    counts in the outermost. Values that are not all finite have no shares: nan.

    Args:
        values: of any shape, floating point, any device.
        numbers: their ``mean`` and ``std``, as ``statistics.describe`` gives them.

    Example:
        >>> numbers = {"mean": 0.0, "std": 0.5**0.5}
        >>> found = relative_histogram(torch.tensor([0.0, 0.0, 1.0, -1.0]), numbers)
        >>> found[BINS // 2], sum(found)
        (0.5, 1.0)
    """
    rms = math.hypot(numbers["mean"], numbers["std"])
    if not math.isfinite(rms):
        return [math.nan] * BINS
    values = real_parts(values)
    wide = values if values.dtype == torch.float64 else values.float()
    place = wide / (rms or 1.0) * (BINS / (2 * REACH)) + BINS / 2
    # Not histc: on CUDA it has no deterministic form, and raises where the user asked for one.
    bins = place.clamp_(0, BINS - 1).to(torch.int8).flatten()
    counts: list[int] = bins.bincount(minlength=BINS).cpu().tolist()
    return [count / values.numel() for count in counts]
