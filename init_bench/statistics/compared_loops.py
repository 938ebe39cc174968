"""Compare samples of a layer with each other in loops compiled by Numba."""

import math
from typing import Any

import numpy as np

from init_bench.statistics.compiled import inlined
from init_bench.statistics.eigenvalues import tridiagonal


@inlined
def centered(
    z: Any, few: int, step: int, scale: float, mean: float, inverse: float, small: Any
) -> Any:
    """Return the compared values less their sample's mean, those means, and the power sums."""
    units = (z.shape[1] + step - 1) // step
    values, means = np.zeros(((few + 3) // 4 * 4, units)), np.empty(few)
    for i in range(few):
        for j in range(units):
            values[i, j] = z[i, j * step]
    sums = _power_sums(values[:few].reshape(-1), mean, inverse, small)
    for i in range(few):
        total = 0.0
        for j in range(units):
            total += values[i, j]
        center = total / units
        for j in range(units):
            values[i, j] = (values[i, j] - center) * scale
        means[i] = center * scale
    return values, means, sums


@inlined
def _power_sums(values: Any, mean: float, inverse: float, small: Any) -> Any:
    """Return Σy, Σy², Σy³, Σy⁴, the number of zeros and those of values up to each of ``small``.

    y is (value − ``mean``) · ``inverse``: its powers stay in range whatever the scale.
    """
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
    counts = float(zeros), float(under_a), float(under_b), float(under_c), float(under_d)
    return (first, second, third, fourth, *counts)


@inlined
def products_of(rows: Any, number: int) -> Any:
    """Return the inner products of the first ``number`` of ``rows``, ``(4 k, units)``.

    Four rows with four at a time: each entry is read a quarter as often. Calling torch or NumPy
    costs more than this whole product of 64 samples.
    """
    products = np.empty((number, number))
    for i in range(0, number, 4):
        for j in range(0, i + 4, 4):
            _sixteen_products(rows, i, j, products)
    return products


@inlined
def _sixteen_products(rows: Any, i: int, j: int, products: Any) -> None:
    a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    s, t, u, v = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
    as_ = at = au = av = bs = bt = bu = bv = 0.0
    cs = ct = cu = cv = ds = dt = du = dv = 0.0
    for k in range(rows.shape[1]):
        as_, at, au, av = as_ + a[k] * s[k], at + a[k] * t[k], au + a[k] * u[k], av + a[k] * v[k]
        bs, bt, bu, bv = bs + b[k] * s[k], bt + b[k] * t[k], bu + b[k] * u[k], bv + b[k] * v[k]
        cs, ct, cu, cv = cs + c[k] * s[k], ct + c[k] * t[k], cu + c[k] * u[k], cv + c[k] * v[k]
        ds, dt, du, dv = ds + d[k] * s[k], dt + d[k] * t[k], du + d[k] * u[k], dv + d[k] * v[k]
    sums = (as_, at, au, av), (bs, bt, bu, bv), (cs, ct, cu, cv), (ds, dt, du, dv)
    number = len(products)
    for p in range(min(4, number - i)):
        for q in range(min(4, number - j)):
            products[i + p, j + q] = products[j + q, i + p] = sums[p][q]


@inlined
def compare(products: Any, means: Any, units: int, rounding: float, matrix: Any) -> Any:
    """Return the mean \\|correlation\\| of samples; write their products as a tridiagonal matrix.

    Samples that do not vary over units beyond rounding have no correlation; nan with fewer than two
    left. The matrix is of the samples' own products, divided by the sum of squares.

    Args:
        products: inner products of the centered samples, ``(n, n)``; overwritten.
        means: of the samples over ``units`` units, ``(n,)``.
        rounding: a standard deviation below this share of the RMS is rounding.
        matrix: as of ``tridiagonal``.
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
    tridiagonal(products, matrix)
    return 2 * total / (number * (number - 1)) if number > 1 else np.nan
