"""Sum a large layer's values on the threads of torch's own operations.

They spin for milliseconds after each operation, and a pool of ours would meet them on the same
cores. So the loop runs in the OpenMP library that torch brings along.
"""

import ctypes
import functools
from typing import Any

import numpy as np
import torch
from numba import types
from numba.np.numpy_support import carray

from init_bench.statistics.compiled import compiled, compiled_for_c
from init_bench.statistics.sums.cpu import BLOCK, sums_of_units
from init_bench.statistics.sums.openmp import THREAD, THREADS, openmp

_PARTS = 32
"""At most so many parts has a layer, whatever the number of threads: its sums are the same."""


_SUMS = 9
"""Numbers that ``sums_of_units`` returns."""


_thread: Any = types.ExternalFunction(THREAD, types.int32())


_threads: Any = types.ExternalFunction(THREADS, types.int32())


@compiled_for_c
def _sum_parts(addresses: Any) -> None:
    """Write the sums of those parts of a layer that are this thread's.

    Args:
        addresses: of the layer's values and of the arrays that ``threaded_sums`` makes.
    """
    at = carray(addresses, (5,))
    sizes, numbers = carray(at[1], (4,), np.int64), carray(at[2], (3,), np.float64)
    samples, units, few, parts = sizes[0], sizes[1], sizes[2], sizes[3]
    edges = carray(at[3], (parts + 1,), np.int64)
    found = carray(at[4], (parts, _SUMS), np.float64)
    z = carray(at[0], (samples, units), np.float32)
    for part in range(_thread(), parts, _threads()):
        sums = sums_of_units(
            z, few, numbers[0], numbers[1], numbers[2], edges[part], edges[part + 1]
        )
        for k in range(_SUMS):
            found[part, k] = sums[k]


def threaded_sums(z: Any, few: int, share: float, low_end: float, high_end: float) -> Any:
    """Return what ``loop_sums`` does of float32 values, up to rounding, on torch's threads."""
    edges = _edges(z.shape[1])
    found = np.empty((len(edges) - 1, _SUMS))
    arrays = (
        z,
        np.array([*z.shape, few, len(found)]),
        np.array([share, low_end, high_end]),
        edges,
        found,
    )
    addresses = np.array([array.ctypes.data for array in arrays], np.uintp)
    openmp().GOMP_parallel(
        ctypes.c_void_p(_sum_parts.address),
        ctypes.c_void_p(addresses.ctypes.data),
        torch.get_num_threads(),
        0,
    )
    return _joined(found, edges)


@functools.lru_cache
def _edges(units: int) -> Any:
    """Return where each part begins, and the end of the last: whole blocks."""
    blocks = -(-units // BLOCK)
    parts = min(blocks, _PARTS)
    return np.minimum(np.arange(parts + 1) * blocks // parts * BLOCK, units)


@compiled
def _joined(found: Any, edges: Any) -> Any:
    """Return the sums of a layer, given those of its parts."""
    low, high, constant, center = found[0, 0], found[0, 1], found[0, 2], found[0, 3]
    total, square, within, zeros, near_ends = (
        found[0, 4], found[0, 5], found[0, 6], found[0, 7], found[0, 8],
    )  # fmt: skip
    for part in range(1, len(found)):
        units = edges[part + 1] - edges[part]
        offset = found[part, 3] - center  # these sums are of the differences from another c
        moved = found[part, 4] + units * offset
        low, high = min(low, found[part, 0]), max(high, found[part, 1])
        constant += found[part, 2]
        total += moved
        square += found[part, 5] + offset * (found[part, 4] + moved)
        within += found[part, 6]
        zeros += found[part, 7]
        near_ends += found[part, 8]
    if not np.isfinite(total):
        low = high = total
    return low, high, constant, center, total, square, within, zeros, near_ends
