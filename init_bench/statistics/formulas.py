"""Compute the statistics of a layer from sums over its values.

Plain arithmetic, which compiled loops inline.
"""

import math
from typing import Any

from init_bench.statistics.number_formats import FORMAT_STATISTICS

STATISTICS = (
    "mean",
    "std",
    "min",
    "max",
    "saturated",
    "dead",
    "zero",
    "sample_std",
    "unit_std",
    "correlation",
    "effective_rank",
    "distinct",
    "nonfinite",
)
"""Columns of the layer table that a run stores."""


NAMES = (*STATISTICS, *FORMAT_STATISTICS)
"""Names of what ``statistics_from_sums`` returns; the order is its own."""


def power_near(size: float) -> float:
    """Return the power of two that brings ``size`` to about 1: squares stay in range.

    Example:
        >>> power_near(5.0), power_near(0.0)
        (0.125, 1.0)
    """
    return math.ldexp(1.0, -min(max(math.frexp(size)[1], -1000), 1000))


def kurtosis_of(powers: Any, number: int) -> Any:
    """Return the mean of (value − mean)⁴ over the squared variance; nan of equal values.

    Args:
        powers: Σy, Σy², Σy³, Σy⁴ of standardized values, and whatever follows.
        number: how many values these are.

    Example:
        >>> kurtosis_of([0.0, 2.0, 0.0, 2.0], 2)
        1.0
    """
    first, second, third, fourth = (
        powers[0] / number,
        powers[1] / number,
        powers[2] / number,
        powers[3] / number,
    )
    variance = second - first * first
    if not variance > 1e-12:  # rounding, or no spread
        return math.nan
    return (fourth - first * (4 * third - first * (6 * second - 3 * first * first))) / variance**2


def statistics_from_sums(
    sums: Any,
    values: int,
    units: int,
    powers: Any,
    compared: int,
    kurtosis: float,
    correlation: float,
    over: Any,
) -> Any:
    """Return the statistics that ``NAMES`` names.

    Nan are ``effective_rank``, ``distinct`` and what the arguments have as nan.

    Args:
        sums: least and greatest value, how many units are constant, mean, variance within and
            between units, how many values are 0, and near an end of the range.
        values, units: how many there are.
        powers: of the compared values y, standardized: Σy, Σy², Σy³, Σy⁴, the number of zeros and
            those of values that round to 0 in each format.
        compared: how many these are.
        kurtosis, correlation: of the compared values and samples.
        over: share of values beyond each format's greatest number.
    """
    low, high, constant_units, mean, within, between, zeros, near_ends = sums
    std = math.sqrt(within + between)
    zero = powers[4]
    return (
        mean,
        std,
        low,
        high,
        near_ends / values,
        constant_units / units,
        zeros / values,
        math.sqrt(within),
        math.sqrt(between),
        correlation,
        math.nan,
        math.nan,
        0.0,
        math.hypot(mean, std),
        kurtosis,
        (powers[5] - zero) / compared,
        (powers[6] - zero) / compared,
        (powers[7] - zero) / compared,
        (powers[8] - zero) / compared,
        over[0],
        over[1],
        over[2],
        over[3],
    )
