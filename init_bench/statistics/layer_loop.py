"""Compute the statistics of a layer on the CPU, in a loop compiled by Numba."""

import math
from typing import Any

import numpy as np

from init_bench.statistics import formulas
from init_bench.statistics.compared_loops import centered, compare, products_of
from init_bench.statistics.compiled import compiled, inlined

_power_near = inlined(formulas.power_near)
_kurtosis_of = inlined(formulas.kurtosis_of)
_statistics_from_sums = inlined(formulas.statistics_from_sums)


@inlined
def _beyond(z: Any, size: float, large: float) -> Any:
    """Return the share of values of at least ``large``; ``size`` is the greatest there is."""
    count = 0
    if size >= large:
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                count += abs(z[i, j]) >= large
    return count / z.size


@compiled
def loop_statistics(
    z: Any,
    found: Any,
    few: int,
    step: int,
    small: Any,
    large: Any,
    rounding: float,
    matrix: Any,
) -> Any:
    """Return ``statistics_from_sums`` of values; nan for their ends where some are not finite.

    Args:
        z: the layer's values, ``(samples, units)``.
        found: what ``loop_sums`` returns of them.
        few, step: the first ``few`` samples and every ``step``-th unit are compared.
        small, large: the ends of the number formats.
        rounding: as ``compare`` takes it.
        matrix: is written where all is finite, ``(2, few)``: its eigenvalues are the squared
            singular values of the compared samples over their sum, as of ``tridiagonal``.
    """
    least, greatest, constant, common, unit, unit_square, squares, zeros, near_ends = found
    low, high, units = float(least), float(greatest), z.shape[1]
    center = unit / units
    mean = common + center
    within = 0.0 if constant == units else max(squares / z.size, 0.0)
    between = max(unit_square / units - center * center, 0.0)
    sums = (low, high, constant, mean, within, between, zeros, near_ends)
    std, size = math.sqrt(within + between), max(abs(low), abs(high))
    powers = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    correlation, compared = np.nan, few * ((units + step - 1) // step)
    if np.isfinite(low) and np.isfinite(high):
        inverse = 1.0 / std if std > 0.0 else 0.0
        scale = _power_near(max(abs(mean), std))
        values, means, powers = centered(z, few, step, scale, mean, inverse, small)
        products = products_of(values, few)
        correlation = compare(products, means, values.shape[1], rounding, matrix)
    a, b, c, d = large
    over = (_beyond(z, size, a), _beyond(z, size, b), _beyond(z, size, c), _beyond(z, size, d))
    kurtosis = _kurtosis_of(powers, compared)
    return _statistics_from_sums(sums, z.size, units, powers, compared, kurtosis, correlation, over)
