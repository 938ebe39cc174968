"""Compute the statistics of many layers of one shape at once, to save launches of kernels."""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from init_bench.statistics.compared import COMPARED_SAMPLES, COMPARED_UNITS, ROUNDING
from init_bench.statistics.distinct_rows import distinct_rows
from init_bench.statistics.formulas import STATISTICS
from init_bench.statistics.histogram import (
    BINS,
    Histogram,
    bin_numbers,
    divisor,
    relative_histogram,
)
from init_bench.statistics.layer_statistics import SAME_ROWS, saturation_ends

FIRST_COLUMNS = 8
"""Columns of a weight in which rows are compared first: drawn rows differ in one of them."""


EIGENVALUES_TOGETHER = 8
"""Matrices whose eigenvalues a thread computes in one call."""


StackStatistics = dict[str, Tensor]
"""By name, the value of each layer of a stack."""


def describe_stack(
    values: Tensor, bounds: tuple[float, float] | None = None
) -> list[dict[str, float]]:
    """Return ``STATISTICS`` of each layer of a stack, as ``describe`` does, all in float64.

    Shapes:
        values: ``(layers, samples, units)``, on a device that has float64.

    Example:
        >>> two = torch.tensor([[[0.0, 1.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]])
        >>> [layer["dead"] for layer in describe_stack(two)]
        [0.5, 1.0]
    """
    z = values.detach().double()
    within, between = _variances(z)
    compared = _compared(z)
    statistics = _moments(z, within, between) | {
        "dead": (z.amin(dim=1) == z.amax(dim=1)).double().mean(dim=1),
        "sample_std": within.sqrt(),
        "unit_std": between.sqrt(),
        "correlation": _correlation(compared),
        "effective_rank": _effective_rank(compared),
    }
    if bounds is not None:
        low, high = saturation_ends(bounds)
        statistics["saturated"] = ((z <= low) | (z >= high)).double().mean(dim=(1, 2))
    return _per_layer(statistics)


def describe_weight_stack(weights: Tensor) -> list[dict[str, float]]:
    """Return ``STATISTICS`` of each weight of a stack, as ``describe_weight``, all in float64.

    Shapes:
        weights: ``(layers, n_out, n_in)``, on a device that has float64.

    Example:
        >>> [layer["distinct"] for layer in describe_weight_stack(torch.ones(2, 3, 2))]
        [1.0, 1.0]
    """
    rows = weights.detach().double()
    statistics = _moments(rows, *_variances(rows))
    statistics["effective_rank"] = _effective_rank(_compared(rows))
    tolerance = SAME_ROWS * rows.abs().amax(dim=(1, 2))
    statistics["distinct"] = _all_distinct(rows, tolerance) * float(rows.shape[1])
    found = _per_layer(statistics)
    for i, layer in enumerate(found):
        if layer["distinct"] == 0:
            size = max(abs(layer["min"]), abs(layer["max"]))
            layer["distinct"] = float(distinct_rows(rows[i], SAME_ROWS * size))
    return found


def histograms_of_stack(values: Tensor, numbers: Sequence[Mapping[str, float]]) -> list[Histogram]:
    """Return the histogram of each layer of a stack, as ``relative_histogram`` does.

    Shapes:
        values: ``(layers, samples, units)``.
        numbers: what ``describe_stack`` returns of them.

    Example:
        >>> two = torch.tensor([[[0.0, 1.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]])
        >>> [sum(layer.counts) for layer in histograms_of_stack(two, describe_stack(two))]
        [4, 4]
    """
    rms = [math.hypot(layer["mean"], layer["std"]) for layer in numbers]
    scale = torch.tensor([divisor(each) for each in rms], dtype=values.dtype).to(values.device)
    place = bin_numbers(values.detach(), scale.view(-1, 1, 1)).nan_to_num_(nan=0.0).long()
    place += BINS * torch.arange(len(rms), device=values.device).view(-1, 1, 1)
    counts = place.flatten().bincount(minlength=BINS * len(rms)).view(-1, BINS).cpu().tolist()
    return [
        Histogram(size, found) if math.isfinite(size) else relative_histogram(layer, stated)
        for size, found, layer, stated in zip(rms, counts, values.detach(), numbers, strict=True)
    ]


def _variances(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance over samples, averaged over units, and that of the units' means."""
    of_units = z.mean(dim=1, keepdim=True)
    return (z - of_units).square().mean(dim=(1, 2)), of_units.var(dim=(1, 2), correction=0)


def _moments(z: Tensor, within: Tensor, between: Tensor) -> StackStatistics:
    """Return the statistics that outputs and weights share."""
    return {
        "mean": z.mean(dim=(1, 2)),
        "std": (within + between).sqrt(),
        "min": z.amin(dim=(1, 2)),
        "max": z.amax(dim=(1, 2)),
        "zero": (z == 0).double().mean(dim=(1, 2)),
        "nonfinite": 1 - z.isfinite().double().mean(dim=(1, 2)),
    }


def _all_distinct(rows: Tensor, tolerance: Tensor) -> Tensor:
    """Return for each weight whether its first columns differ between any two rows."""
    layers, units = rows.shape[:2]
    apart = rows.new_zeros((layers, units, units))
    for column in rows[:, :, :FIRST_COLUMNS].unbind(dim=2):  # all at once they take far more memory
        torch.maximum(apart, (column.unsqueeze(2) - column.unsqueeze(1)).abs_(), out=apart)
    apart.diagonal(dim1=1, dim2=2).fill_(math.inf)
    return (apart.amin(dim=(1, 2)) > tolerance).double()


def _compared(z: Tensor) -> Tensor:
    """Return the values of the samples and units that are compared; 0 for what is not finite."""
    chosen = z[:, :COMPARED_SAMPLES, :: -(-z.shape[2] // COMPARED_UNITS)]
    return chosen.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _correlation(compared: Tensor) -> Tensor:
    """Return the mean |cosine| of the centered samples that vary over units beyond rounding."""
    centered = compared - compared.mean(dim=2, keepdim=True)
    size, variance = compared.square().sum(dim=2), centered.square().sum(dim=2)
    varies = variance > ROUNDING**2 * size
    unit = centered * torch.where(varies, variance.rsqrt(), 0.0).unsqueeze(2)
    number = varies.sum(dim=1)
    total = (unit @ unit.mT).abs().sum(dim=(1, 2)) - number
    return torch.where(number < 2, math.nan, total / (number * (number - 1)))


def _effective_rank(compared: Tensor) -> Tensor:
    squares = _eigenvalues(compared @ compared.mT)
    kept = squares > ROUNDING**2 * squares[:, -1:]
    values = torch.where(kept, squares, 0.0).sqrt()
    share = values / values.sum(dim=1, keepdim=True)
    entropy = -torch.special.xlogy(share, share).sum(dim=1)
    return torch.where(kept.any(dim=1), entropy.exp(), 0.0)


def _eigenvalues(products: Tensor) -> Tensor:
    """Return the eigenvalues of each matrix, computed by threads of the CPU.

    An H100 computes those of one 64 × 64 matrix after another, 0.3 ms each. A core of a CPU is as
    fast, and a machine with a GPU has many cores.
    """
    pieces = torch.split(products.cpu(), EIGENVALUES_TOGETHER)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return torch.cat(list(pool.map(torch.linalg.eigvalsh, pieces))).to(products.device)


def _per_layer(statistics: StackStatistics) -> list[dict[str, float]]:
    """Return the statistics layer by layer, after one transfer; nan where values are not finite."""
    names = list(statistics)
    table = torch.stack([statistics[name] for name in names], dim=1).cpu().tolist()
    nothing = dict.fromkeys(STATISTICS, math.nan)
    found = [nothing | dict(zip(names, row, strict=True)) for row in table]
    return [
        layer if layer["nonfinite"] == 0.0 else nothing | {"nonfinite": layer["nonfinite"]}
        for layer in found
    ]
