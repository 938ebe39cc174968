"""Compute effective ranks from products of samples in loops compiled by Numba, many at once.

LAPACK takes most of its time for a 64 × 64 matrix in a chain of divisions, each waiting for the one
before. ``LANES`` such chains, of as many layers, take little longer than one.
"""

import math
from typing import Any

import numpy as np

from init_bench.statistics.compiled import compiled, inlined

LANES = 16
"""Matrices whose eigenvalues are computed side by side. A constant, as are the operations on each:
what it is computed beside does not change a result."""


_SWEEPS = 30
"""Sweeps per eigenvalue after which a matrix is given up; two are usual."""


@inlined
def _reflection(row: Any, i: int, v: Any, q: Any, w: Any) -> Any:
    """Write the vector w whose reflection leaves one entry of a row; return 2 / w·w and its square.

    The row is first brought up to date with the last reflection, of which ``v`` and ``q`` tell.
    """
    for j in range(i + 1):
        w[j] = row[j] - (v[i] * q[j] + q[i] * v[j])
    rest, last = 0.0, w[i - 1]
    for j in range(i - 1):
        rest += w[j] * w[j]
    square = rest + last * last
    w[i - 1] = last + math.sqrt(square) if last >= 0 else last - math.sqrt(square)
    return 2.0 / (rest + w[i - 1] * w[i - 1]) if rest > 0.0 else 0.0, square


@inlined
def _updated_product(row: Any, r: int, i: int, v: Any, q: Any, w: Any) -> Any:
    """Bring a row up to date with the last reflection; return its inner product with ``w``."""
    v_row, q_row, total = v[r], q[r], 0.0
    for j in range(i):
        value = row[j] - (v_row * q[j] + q_row * v[j])
        row[j] = value
        total += value * w[j]
    return total


@inlined
def tridiagonal(products: Any, matrix: Any) -> None:
    """Write a tridiagonal matrix with the eigenvalues of ``products``, ``(n, n)``, overwritten.

    By Householder's reflections, from the last row up.

    Args:
        matrix: its diagonal, and the squares of the entries beside it: ``(2, n)``.
    """
    n = len(products)
    v, q, p, w = np.zeros((4, n))
    for i in range(n - 1, 0, -1):
        scale, matrix[1, i - 1] = _reflection(products[i], i, v, q, w)
        matrix[0, i] = w[i]
        middle = 0.0
        for r in range(i):
            p[r] = scale * _updated_product(products[r], r, i, v, q, w)
            middle += p[r] * w[r]
        middle *= 0.5 * scale
        for j in range(i):
            q[j] = p[j] - middle * w[j]
            v[j] = w[j]
    matrix[0, 0] = products[0, 0] - 2 * v[0] * q[0]
    matrix[1, n - 1] = 0.0


@inlined
def _shifts(d: Any, squares: Any, tiny: Any, low: Any, shift: Any) -> int:
    """Find where each matrix is not yet diagonal, and its shift; return the first such place."""
    last = len(d) - 1
    start = last
    for k in range(LANES):
        at = int(low[k])
        while at < last and not squares[at, k] > tiny[k]:
            at += 1
        low[k] = at
        start = min(start, at)
        if at < last:
            root = math.sqrt(squares[at, k])
            x = (d[at + 1, k] - d[at, k]) / (2 * root)
            size = math.sqrt(x * x + 1)
            shift[k] = d[at, k] - root / (x + size if x >= 0 else x - size)
    return start


@inlined
def _sweep(d: Any, squares: Any, low: Any, shift: Any, start: int) -> None:
    """Do one QL step, without square roots, on every matrix that is not yet diagonal."""
    last = len(d) - 1
    c, s, g, p = np.empty((4, LANES))
    for k in range(LANES):
        c[k], s[k], g[k] = 1.0, 0.0, d[last, k] - shift[k]
        p[k] = g[k] * g[k]
    for i in range(last - 1, start - 1, -1):
        for k in range(LANES):
            active = i >= low[k]
            r = p[k] + squares[i, k]
            inverse = 1.0 / (1.0 if r == 0.0 else r)
            cosine = 1.0 if r == 0.0 else p[k] * inverse
            sine = squares[i, k] * inverse
            new = cosine * (d[i, k] - shift[k]) - sine * g[k]
            square = c[k] * squares[i, k] if p[k] == 0.0 else new * new * (r / p[k])
            squares[i + 1, k] = s[k] * r if active else squares[i + 1, k]
            d[i + 1, k] = g[k] + (d[i, k] - new) if active else d[i + 1, k]
            s[k] = sine if active else s[k]
            c[k] = cosine if active else c[k]
            g[k] = new if active else g[k]
            p[k] = square if active else p[k]
    for k in range(LANES):
        at = int(low[k])
        if at < last:
            squares[at, k], d[at, k] = s[k] * p[k], shift[k] + g[k]


@compiled
def loop_effective_ranks(d: Any, squares: Any, rounding: float) -> Any:
    """Return the effective rank of each of ``LANES`` tridiagonal matrices; both are overwritten.

    By the QL method of Pal, Walker and Kahan, all matrices in step; nan where it does not converge.

    Args:
        d, squares: ``(n, LANES)``, diagonals and squares of the entries beside them.
        rounding: singular values below this share of the largest count as 0.
    """
    n = len(d)
    tiny, low, shift, ranks = np.zeros((4, LANES))
    for i in range(n):
        for k in range(LANES):
            tiny[k] = max(tiny[k], abs(d[i, k]))
    for k in range(LANES):
        tiny[k] = (2.0**-53 * tiny[k]) ** 2
    for _ in range(_SWEEPS * n):
        start = _shifts(d, squares, tiny, low, shift)
        if start == n - 1:
            break
        _sweep(d, squares, low, shift, start)
    _shifts(d, squares, tiny, low, shift)
    for k in range(LANES):
        whole = low[k] >= n - 1
        ranks[k] = _effective_rank(d[:, k], rounding) if whole else np.nan
    return ranks


@inlined
def _effective_rank(eigenvalues: Any, rounding: float) -> Any:
    """Return exp(−Σ p log p), p the singular values over their sum: log Σσ − Σσ log σ / Σσ."""
    largest, total = 0.0, 0.0
    for value in eigenvalues:
        largest = max(largest, value)
        total += value
    if not np.isfinite(total):
        return np.nan
    size, weighted = 0.0, 0.0
    for value in eigenvalues:
        if value > rounding * rounding * largest:
            root = math.sqrt(value)
            size += root
            weighted += root * math.log(root)
    return math.exp(math.log(size) - weighted / size) if size > 0.0 else 0.0
