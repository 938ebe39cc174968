"""Multiply sparse images with matrices, in loops compiled by Numba.

Eight rows of a matrix are added at a time: the sum is read and written once for eight. Each entry
of a product is summed in one order, whatever stands beside it, so that a cell has the same bits in
every stack.
"""

from typing import Any

import numpy as np

from init_bench.statistics.compiled import compiled_in_order, inlined

_UNITS = 1024
"""Units summed at a time: their sums stay in the first cache."""


@inlined
def _add_eight(factors: Any, rows: Any, total: Any) -> None:
    """Add eight rows times their factors to ``total``, one after the other."""
    s, t, u, v, w, x, y, z = factors
    a, b, c, d, e, f, g, h = rows
    for j in range(len(total)):
        value = total[j]
        value += s * a[j]
        value += t * b[j]
        value += u * c[j]
        value += v * d[j]
        value += w * e[j]
        value += x * f[j]
        value += y * g[j]
        value += z * h[j]
        total[j] = value


@inlined
def _add_one(factor: Any, row: Any, total: Any) -> None:
    for j in range(len(total)):
        total[j] += factor * row[j]


@compiled_in_order
def multiply(
    starts: Any, columns: Any, pixels: Any, brightness: Any, samples: Any, weight: Any, out: Any
) -> None:
    """Write the product of some samples with ``weight``, ``(features, units)``, into ``out``.

    Args:
        starts, columns, pixels: of ``NonzeroPixels``.
        brightness: the value of each byte, ``(256,)`` float32.
        samples: numbers of the images, ``(B,)``.
        out: ``(B, units)``; ``weight`` and ``out`` are float32 and contiguous.
    """
    for begin in range(0, weight.shape[1], _UNITS):
        end = min(begin + _UNITS, weight.shape[1])
        for i in range(len(samples)):
            total = out[i, begin:end]
            total[:] = 0
            k, last = starts[samples[i]], starts[samples[i] + 1]
            while k + 8 <= last:
                p, x = columns[k : k + 8], pixels[k : k + 8]
                rows = (
                    weight[p[0], begin:end], weight[p[1], begin:end], weight[p[2], begin:end],
                    weight[p[3], begin:end], weight[p[4], begin:end], weight[p[5], begin:end],
                    weight[p[6], begin:end], weight[p[7], begin:end],
                )  # fmt: skip
                factors = (
                    brightness[x[0]], brightness[x[1]], brightness[x[2]], brightness[x[3]],
                    brightness[x[4]], brightness[x[5]], brightness[x[6]], brightness[x[7]],
                )  # fmt: skip
                _add_eight(factors, rows, total)
                k += 8
            while k < last:
                _add_one(brightness[pixels[k]], weight[columns[k], begin:end], total)
                k += 1


@compiled_in_order
def by_column(
    starts: Any, columns: Any, pixels: Any, brightness: Any, samples: Any, features: int
) -> Any:
    """Return the values of a minibatch column by column.

    Args:
        starts, columns, pixels, brightness, samples: as of ``multiply``.

    Returns:
        Where each column begins, and the end of the last, ``(features + 1,)``; to which sample of
        the minibatch each value belongs, and the values.
    """
    ends = np.zeros(features + 1, np.int64)
    for sample in samples:
        for k in range(starts[sample], starts[sample + 1]):
            ends[columns[k] + 1] += 1
    for column in range(features):
        ends[column + 1] += ends[column]
    place = ends[:-1].copy()
    rows, values = np.empty(ends[features], np.int32), np.empty(ends[features], np.float32)
    for i in range(len(samples)):
        for k in range(starts[samples[i]], starts[samples[i] + 1]):
            at = place[columns[k]]
            rows[at], values[at] = i, brightness[pixels[k]]
            place[columns[k]] = at + 1
    return ends, rows, values


@compiled_in_order
def add_products(ends: Any, rows: Any, values: Any, scale: Any, delta: Any, into: Any) -> None:
    """Add the transposed samples times ``delta``, ``(B, units)``, to ``(features, units)``.

    Args:
        ends, rows, values: as ``by_column`` returns them.
        scale: by which the product is multiplied, float32.
        delta, into: float32 and contiguous.
    """
    for column in range(len(into)):
        total = into[column]
        k, last = ends[column], ends[column + 1]
        while k + 8 <= last:
            i, x = rows[k : k + 8], values[k : k + 8]
            _add_eight(
                (
                    scale * x[0], scale * x[1], scale * x[2], scale * x[3],
                    scale * x[4], scale * x[5], scale * x[6], scale * x[7],
                ),
                (
                    delta[i[0]], delta[i[1]], delta[i[2]], delta[i[3]],
                    delta[i[4]], delta[i[5]], delta[i[6]], delta[i[7]],
                ),
                total,
            )  # fmt: skip
            k += 8
        while k < last:
            _add_one(scale * values[k], delta[rows[k]], total)
            k += 1
