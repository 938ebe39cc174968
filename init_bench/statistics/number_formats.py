"""Measure how values fit narrow number formats: RMS, kurtosis, shares that under- or overflow."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

FORMATS = {
    "float16": (2.0**-25, 65520.0),
    "bfloat16": (2.0**-134, 2.0**128 - 2.0**119),
    "float8_e4m3": (2.0**-10, math.nextafter(464.0, math.inf)),
    "float8_e5m2": (2.0**-17, 61440.0),
}
"""Of each format, the greatest magnitude that rounds to 0 (half its least number), and the least
that rounds beyond its greatest number (half a step above that). Ties go to the even neighbor."""


UNDERFLOWS = tuple(f"{name}_underflow" for name in FORMATS)
OVERFLOWS = tuple(f"{name}_overflow" for name in FORMATS)
FORMAT_STATISTICS = ("rms", "kurtosis", *UNDERFLOWS, *OVERFLOWS)
"""Further columns of the layer table, which a run does not store."""


SMALL = tuple(small for small, _ in FORMATS.values())
LARGE = tuple(large for _, large in FORMATS.values())


def power_sums(values: Tensor, mean: float, std: float) -> Tensor:
    """Return Σy, Σy², Σy³, Σy⁴, the number of zeros and those of values up to each ``SMALL``.

    y is (value − ``mean``) / ``std``: its powers stay in range whatever the scale. The sums stay on
    the values' device.

    Example:
        >>> power_sums(torch.tensor([[0.0, 2.0]]), 1.0, 1.0)[:5].tolist()
        [0.0, 2.0, 0.0, 2.0, 1.0]
    """
    inverse, flat = 1 / std if std else 0.0, values.reshape(-1)
    deviation = (flat - mean) * inverse
    powers = torch.stack([torch.ones_like(flat), deviation, deviation.square()])
    products = powers @ powers[1:].T
    size = flat.abs()
    counts = torch.stack([size <= limit for limit in (0.0, *SMALL)]).sum(1)
    return torch.cat([products[0], products[1:, 1], counts.to(flat.dtype)])


def format_statistics(
    values: Tensor, moments: Mapping[str, float], sums: Sequence[float], number: int
) -> dict[str, float]:
    """Return ``FORMAT_STATISTICS`` of a layer's values.

    Args:
        values: all of them, of any shape, finite.
        moments: their ``mean``, ``std``, ``min`` and ``max``.
        sums: the power sums of some of them.
        number: how many these are.
    """
    zeros = sums[4]
    under = [(count - zeros) / number for count in sums[5:]]
    size = max(-moments["min"], moments["max"])
    return {
        "rms": math.hypot(moments["mean"], moments["std"]),
        "kurtosis": kurtosis_of(sums, number),
        **dict(zip(UNDERFLOWS, under, strict=True)),
        **dict(zip(OVERFLOWS, [_share_beyond(values, size, at) for at in LARGE], strict=True)),
    }


def kurtosis_of(sums: Sequence[float], number: int) -> float:
    """Return the mean of (value − mean)⁴ over the squared variance; nan of equal values.

    Example:
        >>> kurtosis_of([0.0, 2.0, 0.0, 2.0], 2)
        1.0
    """
    first, second, third, fourth = (one / number for one in sums[:4])
    variance = second - first * first
    if not variance > 1e-12:  # rounding, or no spread
        return math.nan
    return (fourth - first * (4 * third - first * (6 * second - 3 * first * first))) / variance**2


def _share_beyond(values: Tensor, size: float, large: float) -> float:
    """Return the share of values of at least ``large``; ``size`` is the greatest there is."""
    if size < large:
        return 0.0
    return int((values.detach().abs() >= large).sum()) / values.numel()
