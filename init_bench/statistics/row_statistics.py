"""Compute the statistics of rows of values: sums where these are, the rest in compiled loops."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from init_bench.statistics.compared import ROUNDING, Array, compared_shape
from init_bench.statistics.formulas import NAMES, power_near
from init_bench.statistics.number_formats import LARGE, SMALL
from init_bench.statistics.sums.accelerator import bring_over
from init_bench.statistics.sums.openmp import openmp

Ends = tuple[float, float] | None
"""Of the range inside which a value is not saturated."""


LARGE_LAYER = 2**17
"""Values above which threads save more time than calling them takes."""


_MIN, _MAX = NAMES.index("min"), NAMES.index("max")
_SCALED = [
    NAMES.index(name) for name in ("mean", "std", "min", "max", "sample_std", "unit_std", "rms")
]
"""Places of the statistics that grow as the values do."""


def statistics_of_rows(z: Tensor, ends: Ends, matrix: Array) -> Sequence[float]:
    """Return what ``NAMES`` names of ``z``, nan where some value is not finite.

    Where squares may have left the range of the numbers summed in, they are those of ``z`` times a
    power of two, taken back.

    Args:
        z: ``(samples, units)``; on the CPU contiguous, in float32 or float64.
        ends: at and beyond which a value is saturated.
        matrix: is written, as by ``loop_statistics``.
    """
    safe = 450 if z.device.type == "cpu" else 40
    found = _measured(z, ends, SMALL, LARGE, matrix)
    size = max(-found[_MIN], found[_MAX])
    if 2.0**-safe < size < 2.0**safe or size == 0 or not bool(z.isfinite().all()):
        return found
    scale = power_near(z.abs().max().item())
    first = 2.0 ** (math.frexp(scale)[1] // 2)  # the whole may be too large for a float32
    scaled = (z if z.dtype == torch.float64 else z.float()) * first * (scale / first)
    small, large = ([scale * x for x in limits] for limits in (SMALL, LARGE))
    ends = ends and (scale * ends[0], scale * ends[1])
    found = list(_measured(scaled, ends, tuple(small), tuple(large), matrix))
    for place in _SCALED:
        found[place] /= scale
    return found


def _measured(
    z: Tensor, ends: Ends, small: Sequence[float], large: Sequence[float], matrix: Array
) -> Sequence[float]:
    """Return the statistics of ``z``; ``small`` and ``large`` end the number formats."""
    # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
    from init_bench.statistics.layer_loop import loop_statistics

    few, step = compared_shape(z)
    if z.device.type == "cpu":
        sums, some = _sums_on_cpu(z, ends, few), z.numpy()
    else:
        sums, some = bring_over(z, ends, few, step)
        step = 1
    size = max(-sums[0], sums[1])
    over = tuple(_beyond(z, at) / z.numel() if size >= at else 0.0 for at in large)
    found: tuple[float, ...] = loop_statistics(
        some, sums, *z.shape, step, small, over, ROUNDING, matrix
    )
    return found


def _sums_on_cpu(z: Tensor, ends: Ends, few: int) -> Any:
    from init_bench.statistics.sums.cpu import loop_sums

    low, high = ends or (-math.inf, math.inf)
    sums_of = loop_sums
    if z.numel() > LARGE_LAYER and z.dtype == torch.float32 and openmp():
        from init_bench.statistics.sums.torch_threads import threaded_sums as sums_of
    return sums_of(z.numpy(), few, 1 / len(z), low, high)


def _beyond(z: Tensor, large: float) -> int:
    """Return the number of values of at least this size."""
    if z.device.type != "cpu":
        return int((z.abs() >= large).sum())
    from init_bench.statistics.layer_loop import loop_beyond

    return int(loop_beyond(z.numpy(), large))
