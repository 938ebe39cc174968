"""Sum a layer's values on the CPU, in a loop compiled by Numba that reads each value once.

Torch would take eight operations and as many readings.
"""

from typing import Any

import numpy as np

from init_bench.statistics.compiled import compiled, inlined

BLOCK = 320
"""Units summed at a time: their sums stay in the first cache."""


@inlined
def _shift(z: Any, few: int, start: int, width: int, shift: Any) -> None:
    """Take s of a block of units: the first sample or, of more than ``few``, their mean."""
    first = z[0, start : start + width]
    for j in range(width):
        shift[j] = first[j]
    if len(z) > few:
        for i in range(1, few):
            for j in range(width):
                shift[j] += z[i, start + j]
        for j in range(width):
            shift[j] /= few


@inlined
def _count_beyond(
    z: Any, start: int, width: int, low_end: float, high_end: float, beyond: Any
) -> None:
    for i in range(len(z)):
        row = z[i, start : start + width]
        for j in range(width):
            beyond[j] += np.float32(row[j] <= low_end) + np.float32(row[j] >= high_end)


@inlined
def _four(z: Any, i: int, start: int, stop: int) -> Any:
    return z[i, start:stop], z[i + 1, start:stop], z[i + 2, start:stop], z[i + 3, start:stop]


@inlined
def _sum_four(rows: Any, width: int, shift: Any, total: Any, square: Any, begin: bool) -> None:
    """Add four samples at once, or begin with them: each sum is read and written once for four."""
    a, b, c, d = rows
    for j in range(width):
        s = shift[j]
        da, db, dc, dd = a[j] - s, b[j] - s, c[j] - s, d[j] - s
        one, two = da + db + dc + dd, da * da + db * db + dc * dc + dd * dd
        total[j] = one if begin else total[j] + one
        square[j] = two if begin else square[j] + two


@inlined
def _compare_four(rows: Any, width: int, lows: Any, highs: Any, zero: Any, begin: bool) -> None:
    """Compare four samples with the ends so far and with 0.

    A loop of its own: no number in it is wider than the values, so it takes twice as many at once.
    """
    a, b, c, d = rows
    for j in range(width):
        low, high = min(min(a[j], b[j]), min(c[j], d[j])), max(max(a[j], b[j]), max(c[j], d[j]))
        lows[j] = low if begin else min(low, lows[j])
        highs[j] = high if begin else max(high, highs[j])
        two = np.float32(a[j] == 0) + np.float32(b[j] == 0)
        zero[j] += two + (np.float32(c[j] == 0) + np.float32(d[j] == 0))


@inlined
def _add_one(
    row: Any, width: int, shift: Any, total: Any, square: Any, lows: Any, highs: Any, zero: Any
) -> None:
    for j in range(width):
        value = row[j]
        deviation = value - shift[j]
        total[j] += deviation
        square[j] += deviation * deviation
        lows[j] = value if value < lows[j] else lows[j]
        highs[j] = value if value > highs[j] else highs[j]
        zero[j] += np.float32(value == 0)


@inlined
def sums_of_units(
    z: Any, few: int, share: float, low_end: float, high_end: float, first: int, last: int
) -> Any:
    """Return the sums over the units from ``first`` to before ``last``, as ``loop_sums``."""
    samples = len(z)
    bounded = low_end > -np.inf
    low = high = z[0, first]
    common, unit_total, unit_square, within = 0.0, 0.0, 0.0, 0.0
    shift, total, square = np.empty((3, BLOCK))
    lows, highs = np.empty((2, BLOCK), z.dtype)
    zero, beyond, same = np.zeros((3, BLOCK), np.float32)
    least, most = np.full((2, BLOCK), z[0, first], z.dtype)
    for start in range(first, last, BLOCK):
        width = min(BLOCK, last - start)  # LLVM sees the bound: a third faster than stop - start
        stop = start + width
        _shift(z, few, start, width, shift)
        if start == first:
            common = shift[:width].mean()
        i = 0
        if samples >= 4:
            rows = _four(z, 0, start, stop)
            _sum_four(rows, width, shift, total, square, True)
            _compare_four(rows, width, lows, highs, zero, True)
            i = 4
        else:
            for j in range(width):
                lows[j] = highs[j] = z[0, start + j]
                total[j] = square[j] = 0.0
        while i + 4 <= samples:
            rows = _four(z, i, start, stop)
            _sum_four(rows, width, shift, total, square, False)
            _compare_four(rows, width, lows, highs, zero, False)
            i += 4
        while i < samples:
            _add_one(z[i, start:stop], width, shift, total, square, lows, highs, zero)
            i += 1
        if bounded:
            _count_beyond(z, start, width, low_end, high_end, beyond)
        for j in range(width):
            unit = total[j] * share
            within += square[j] - total[j] * unit
            unit += shift[j] - common
            unit_total += unit
            unit_square += unit * unit
        for j in range(width):  # place by place: one least and greatest would wait for each value
            same[j] += np.float32(lows[j] == highs[j])
        for j in range(width):
            least[j] = lows[j] if lows[j] < least[j] else least[j]
        for j in range(width):
            most[j] = highs[j] if highs[j] > most[j] else most[j]
    constant, zeros, near = 0.0, 0.0, 0.0
    for j in range(min(last - first, BLOCK)):
        low, high = min(low, least[j]), max(high, most[j])
        constant += same[j]
        zeros += zero[j]
        near += beyond[j]
    if not np.isfinite(unit_total):
        low = high = unit_total
    near_ends = near if bounded else np.nan
    return low, high, constant, common, unit_total, unit_square, within, zeros, near_ends


@compiled
def loop_sums(z: Any, few: int, share: float, low_end: float, high_end: float) -> Any:
    """Return least, greatest, number of constant units, c, ΣU, ΣU², Σ(D - mean D)², zeros and
    values beyond the ends (nan without) of ``z`` (samples, units); a value is D + U + c as in
    ``accelerator``, s being of the first ``few`` samples. ``share`` is 1 / samples: LLVM would
    divide by one it computed."""
    return sums_of_units(z, few, share, low_end, high_end, 0, z.shape[1])
