"""Multiply sparse images with matrices, in loops compiled by Numba.

Each entry of a product is summed in one order, whatever stands beside it, so that a cell has the
same bits in every stack.
"""

from typing import Any

import numpy as np

from init_bench.statistics.compiled import compiled_in_order
from init_bench.training.engine.vector_rows import LANES, MOST_VECTORS, add_rows

_ROWS = 64
"""Rows of the matrix read at a time: with ``MOST_VECTORS`` of each they fit the first cache."""


@compiled_in_order
def by_sample(starts: Any, columns: Any, pixels: Any, brightness: Any, samples: Any) -> Any:
    """Return the values of a minibatch sample by sample.

    Args:
        starts, columns, pixels: of ``NonzeroPixels``.
        brightness: the value of each byte, ``(256,)`` float32.
        samples: numbers of the images, ``(B,)``.

    Returns:
        Where each sample begins, and the end of the last, ``(B + 1,)``; the column of each value,
        and the values.
    """
    ends = np.zeros(len(samples) + 1, np.int64)
    for i in range(len(samples)):
        ends[i + 1] = ends[i] + starts[samples[i] + 1] - starts[samples[i]]
    places, values = np.empty(ends[-1], np.uint16), np.empty(ends[-1], np.float32)
    for i in range(len(samples)):
        start, shift = ends[i], starts[samples[i]] - ends[i]
        for k in range(start, ends[i + 1]):
            places[k], values[k] = columns[k + shift], brightness[pixels[k + shift]]
    return ends, places, values


@compiled_in_order
def by_column(sample_ends: Any, columns: Any, sample_values: Any, features: int) -> Any:
    """Return what ``by_sample`` returned column by column.

    Returns:
        Where each column begins, and the end of the last, ``(features + 1,)``; to which sample of
        the minibatch each value belongs, and the values.
    """
    ends = np.zeros(features + 1, np.int64)
    for column in columns:
        ends[column + 1] += 1
    for column in range(features):
        ends[column + 1] += ends[column]
    free = ends[:-1].copy()
    places, values = np.empty(len(columns), np.uint32), np.empty(len(columns), np.float32)
    for i in range(len(sample_ends) - 1):
        for k in range(sample_ends[i], sample_ends[i + 1]):
            at = free[columns[k]]
            places[at], values[at] = i, sample_values[k]
            free[columns[k]] = at + 1
    return ends, places, values


@compiled_in_order
def add_products(
    ends: Any, places: Any, values: Any, scale: Any, matrix: Any, into: Any, units: int
) -> None:
    """Add a sparse matrix times ``matrix``, scaled, to ``into``.

    Args:
        ends, places, values: of the sparse matrix, row by row: where each row begins, and the end
            of the last; the column and the value of each entry, columns rising within a row.
        scale: by which the product is multiplied, float32.
        matrix, into: float32, ``(columns, units)`` and ``(rows, units)``, or more units, which are
            left as they are but for sums of 0 where ``matrix`` has 0.
        units: how many there are.
    """
    room = min(matrix.shape[1], into.shape[1])
    vectors = min(-(-units // LANES), room // LANES)
    tiles = -(-vectors // MOST_VECTORS)
    at = np.empty(len(ends) - 1, np.int64)
    for tile in range(tiles):
        begin, end = tile * vectors // tiles, (tile + 1) * vectors // tiles
        at[:] = ends[:-1]
        for last_row in range(_ROWS, len(matrix) + _ROWS, _ROWS):
            for i in range(len(at)):
                first, last = at[i], at[i]
                while last < ends[i + 1] and places[last] < last_row:
                    last += 1
                if first < last:
                    add_rows(  # type: ignore[call-arg]  # Numba fills the first in
                        into, matrix, places, values, scale,
                        i, first, last, begin * LANES, end - begin,
                    )  # fmt: skip
                    at[i] = last
    for i in range(len(at)):
        for k in range(ends[i], ends[i + 1]):
            factor, row = scale * values[k], matrix[places[k]]
            for j in range(vectors * LANES, units):
                into[i, j] += factor * row[j]
