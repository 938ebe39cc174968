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


@compiled
def loop_beyond(z: Any, large: float) -> Any:
    """Return the number of values of at least this size, of ``(samples, units)``."""
    count = 0
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            count += abs(z[i, j]) >= large
    return count


@compiled
def loop_statistics(
    some: Any,
    found: Any,
    samples: int,
    units: int,
    step: int,
    small: Any,
    over: Any,
    rounding: float,
    matrix: Any,
) -> Any:
    """Return ``statistics_from_sums`` of a layer; nan for their ends where some are not finite.

    Args:
        some: values of the layer, every ``step``-th unit of which is compared, for as many samples
            as ``matrix`` has columns.
        found: what ``loop_sums`` returns of all values.
        samples, units: of the layer.
        small: the greatest number that each format rounds to 0.
        over: the share of values beyond each format's greatest number.
        rounding: as ``compare`` takes it.
        matrix: is written where all is finite, ``(2, few)``: its eigenvalues are the squared
            singular values of the compared samples over their sum, as of ``tridiagonal``.
    """
    least, greatest, constant, common, unit, unit_square, squares, zeros, near_ends = found
    low, high, few = float(least), float(greatest), matrix.shape[1]
    size, center = samples * units, unit / units
    mean = common + center
    within = 0.0 if constant == units else max(squares / size, 0.0)
    between = max(unit_square / units - center * center, 0.0)
    sums = (low, high, constant, mean, within, between, zeros, near_ends)
    std = math.sqrt(within + between)
    powers = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    correlation, compared = np.nan, few * ((some.shape[1] + step - 1) // step)
    if np.isfinite(low) and np.isfinite(high):
        inverse = 1.0 / std if std > 0.0 else 0.0
        scale = _power_near(max(abs(mean), std))
        values, means, powers = centered(some, few, step, scale, mean, inverse, small)
        products = products_of(values, few)
        correlation = compare(products, means, values.shape[1], rounding, matrix)
    kurtosis = _kurtosis_of(powers, compared)
    return _statistics_from_sums(sums, size, units, powers, compared, kurtosis, correlation, over)
