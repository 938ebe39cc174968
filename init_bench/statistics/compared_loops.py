"""Compare samples of a layer with each other in loops compiled by Numba."""

import math
from typing import Any

import numpy as np

from init_bench.statistics.compiled import compiled
from init_bench.statistics.eigenvalues import loop_tridiagonal


@compiled
def loop_centered(
    z: Any, few: int, step: int, scale: float, mean: float, inverse: float, small: Any
) -> Any:
    """Return the compared values less their sample's mean, those means, and the power sums.

    Args:
        z: the layer's values, ``(samples, units)``.
        few, step: the first ``few`` samples and every ``step``-th unit are compared.
        scale: by which values and means are multiplied.
        mean, inverse, small: as ``loop_power_sums`` takes them.
    """
    units = (z.shape[1] + step - 1) // step
    values, means = np.empty((few, units)), np.empty(few)
    for i in range(few):
        for j in range(units):
            values[i, j] = z[i, j * step]
    sums = loop_power_sums(values.reshape(-1), mean, inverse, small)
    for i in range(few):
        total = 0.0
        for j in range(units):
            total += values[i, j]
        center = total / units
        for j in range(units):
            values[i, j] = (values[i, j] - center) * scale
        means[i] = center * scale
    return values, means, sums


@compiled
def loop_power_sums(values: Any, mean: float, inverse: float, small: Any) -> Any:
    """Return what ``number_formats.power_sums`` does, of a vector of values."""
    a, b, c, d = small
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    zeros, under_a, under_b = np.int64(0), np.int64(0), np.int64(0)
    under_c, under_d = np.int64(0), np.int64(0)
    for i in range(len(values)):
        deviation = (values[i] - mean) * inverse
        square = deviation * deviation
        first += deviation
        second += square
        third += square * deviation
        fourth += square * square
        size = abs(values[i])
        zeros += size == 0
        under_a += size <= a
        under_b += size <= b
        under_c += size <= c
        under_d += size <= d
    return first, second, third, fourth, zeros, under_a, under_b, under_c, under_d


@compiled
def loop_compared(products: Any, means: Any, units: int, rounding: float) -> Any:
    """Return the mean \\|correlation\\| of samples, and their products as a tridiagonal matrix.

    Samples that do not vary over units beyond rounding have no correlation; nan with fewer than two
    left. The second is of the samples' own products, divided by the sum of squares.

    Args:
        products: inner products of the centered samples, ``(n, n)``; overwritten.
        means: of the samples over ``units`` units, ``(n,)``.
        rounding: a standard deviation below this share of the RMS is rounding.
    """
    n = len(products)
    weight, squares, number, size = np.zeros(n), np.empty(n), 0, 0.0
    for i in range(n):
        squares[i] = products[i, i] + units * means[i] * means[i]
        size += squares[i]
        if products[i, i] > rounding * rounding * squares[i]:
            weight[i] = 1 / math.sqrt(products[i, i])
            number += 1
    total = 0.0
    for i in range(n):
        row = 0.0
        for j in range(i):
            row += abs(products[i, j]) * weight[j]
        total += row * weight[i]
    inverse = 1 / size if size > 0 else 1.0
    for i in range(n):
        for j in range(n):
            products[i, j] = (products[i, j] + units * means[i] * means[j]) * inverse
    correlation = 2 * total / (number * (number - 1)) if number > 1 else np.nan
    return correlation, loop_tridiagonal(products)
