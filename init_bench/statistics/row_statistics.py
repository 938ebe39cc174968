"""Compute the statistics of rows of values: in compiled loops on the CPU, by torch elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import astuple

import torch
from torch import Tensor

from init_bench.statistics.compared import ROUNDING, Array, compared, compared_shape
from init_bench.statistics.formulas import NAMES, kurtosis_of, power_near, statistics_from_sums
from init_bench.statistics.number_formats import LARGE, SMALL
from init_bench.statistics.sums.accelerator import tile_sums
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
    measure, safe = (_on_cpu, 450) if z.device.type == "cpu" else (_on_accelerator, 40)
    found = measure(z, ends, SMALL, LARGE, matrix)
    size = max(-found[_MIN], found[_MAX])
    if 2.0**-safe < size < 2.0**safe or size == 0 or not bool(z.isfinite().all()):
        return found
    scale = power_near(z.abs().max().item())
    first = 2.0 ** (math.frexp(scale)[1] // 2)  # the whole may be too large for a float32
    scaled = (z if z.dtype == torch.float64 else z.float()) * first * (scale / first)
    small, large = ([scale * x for x in limits] for limits in (SMALL, LARGE))
    ends = ends and (scale * ends[0], scale * ends[1])
    found = list(measure(scaled, ends, tuple(small), tuple(large), matrix))
    for place in _SCALED:
        found[place] /= scale
    return found


def _on_cpu(
    z: Tensor, ends: Ends, small: Sequence[float], large: Sequence[float], matrix: Array
) -> Sequence[float]:
    """Return the statistics of ``z`` on the CPU; ``small``, ``large`` end the number formats."""
    # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
    from init_bench.statistics.layer_loop import loop_statistics
    from init_bench.statistics.sums.cpu import loop_sums

    samples, step = compared_shape(z)
    low, high = ends or (-math.inf, math.inf)
    values = z.numpy()
    sums_of = loop_sums
    if z.numel() > LARGE_LAYER and z.dtype == torch.float32 and openmp():
        from init_bench.statistics.sums.torch_threads import threaded_sums as sums_of
    sums = sums_of(values, samples, 1 / len(z), low, high)
    found: tuple[float, ...] = loop_statistics(
        values, sums, samples, step, small, large, ROUNDING, matrix
    )
    return found


def _on_accelerator(
    z: Tensor, ends: Ends, small: Sequence[float], large: Sequence[float], matrix: Array
) -> Sequence[float]:
    """Return the statistics of ``z`` where it is, as ``_on_cpu``."""
    sums, size = tile_sums(z, ends), z.numel()
    std = math.sqrt(sums.within + sums.between)
    if not math.isfinite(std):
        return [math.nan] * len(NAMES)
    some = compared(z, sums.mean, std, small, matrix)
    greatest = max(-sums.low, sums.high)
    over = [_beyond(z, at) / size if greatest >= at else 0.0 for at in large]
    kurtosis = kurtosis_of(some.powers, some.number)
    found: tuple[float, ...] = statistics_from_sums(
        astuple(sums), size, z.shape[1], some.powers, some.number, kurtosis, some.correlation, over
    )
    return found


def _beyond(z: Tensor, large: float) -> int:
    return int((z.abs() >= large).sum())
