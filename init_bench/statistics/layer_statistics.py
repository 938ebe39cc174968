"""Compute the statistics of a layer's output or weight. All variances divide by n.

Values are summed on their device: from an accelerator come the sums and the few values that are
compared, in one transfer.
"""

import math

import numpy as np
import torch
from torch import Tensor

from init_bench.statistics.compared import EffectiveRanks, compared_shape
from init_bench.statistics.distinct_rows import distinct_rows
from init_bench.statistics.formulas import NAMES
from init_bench.statistics.row_statistics import statistics_of_rows

SAME_ROWS = 1e-5
"""Rows of a weight that agree to this share of its largest entry are the same."""


SATURATION_MARGIN = 0.05
"""A value within this share of the range from an end of the range counts as saturated."""


_LOOPED = (torch.float32, torch.float64)


_OF_SAMPLES = ("saturated", "dead", "sample_std", "unit_std", "correlation")
"""Statistics that speak of samples, which a weight does not have."""


def describe(
    values: Tensor,
    bounds: tuple[float, float] | None = None,
    ranks: EffectiveRanks | None = None,
) -> dict[str, float]:
    """Return the statistics of one layer's output, or of a gradient with respect to it.

    With z[i, j] the value of unit j (all dimensions but the first, flattened) for sample i:

    - ``mean``, ``std``, ``min``, ``max`` over all values;
    - ``saturated``: fraction of values within 5 % of the range's width of either end of
      ``bounds``; nan without bounds;
    - ``dead``: fraction of units that do not change over the samples (0 for all included);
    - ``zero``: fraction of exact zeros;
    - ``sample_std``: √(mean over j of Var_i z[i, j]), the part that depends on the input;
    - ``unit_std``: std over j of mean_i z[i, j], the part that does not;
      std² = sample_std² + unit_std²;
    - ``correlation``: mean over pairs of samples of \\|Pearson correlation over units\\|; samples
      that are constant over units have none and are left out; nan with fewer than two left;
    - ``effective_rank``: exp(−Σ p log p) with p the singular values of z over their sum, between
      1 and min(samples, units); 0 for a zero matrix;
    - ``nonfinite``: fraction of nan and ±inf. Where it is above 0 the rest is nan;
    - ``rms``: √(mean z²);
    - ``kurtosis``: mean (z − mean)⁴ / variance², 3 of a Gaussian; nan of equal values;
    - ``float16_underflow``, ``float16_overflow``: fraction of values that round to 0 in this
      number format (zeros apart), and beyond its greatest number. The same for ``bfloat16``,
      ``float8_e4m3`` and ``float8_e5m2``. Values that are float16 already have lost theirs.

    ``correlation``, ``effective_rank``, ``kurtosis`` and the underflows use the first 64 samples
    (``COMPARED_SAMPLES``) and at no more than 512 units (``COMPARED_UNITS``), every k-th.

    Args:
        values: ``(samples, *units)``, floating point, any device; of complex values the real and
            the imaginary part are units, √2 times as large, so that squares are those of moduli.
        bounds: of a nonlinearity's range.
        ranks: computes ``effective_rank``, nan until then, together with those of other layers.

    Raises:
        ValueError: ``values`` has no dimension.

    Source:
        effective rank: Roy & Vetterli, The effective rank, 2007, eq. 2–4.

    Example:
        >>> two_units = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
        >>> numbers = describe(two_units, bounds=(0.0, 1.0))
        >>> numbers["dead"], numbers["saturated"], round(numbers["sample_std"] ** 2, 6)
        (0.5, 1.0, 0.125)
    """

    return _described(values, bounds, ranks)[1]


def describe_weight(weight: Tensor, ranks: EffectiveRanks | None = None) -> dict[str, float]:
    """Return the statistics of a weight: moments, zeros, effective rank and distinct units.

    ``distinct`` is the number of different rows, a row being a unit's incoming weights; rows
    that agree to 1e-5 of the largest entry are the same (equal units drift apart by rounding).
    The rest is as in ``describe``, a row in place of a sample; what speaks of samples is nan.

    Args:
        weight: ``(n_out, *inputs)``.
        ranks: as of ``describe``.

    Raises:
        ValueError: ``weight`` has no dimension.

    Example:
        >>> describe_weight(torch.ones(3, 2))["distinct"]
        1.0
    """

    rows, statistics = _described(weight, None, ranks)
    statistics |= dict.fromkeys(_OF_SAMPLES, math.nan)
    if statistics["nonfinite"] == 0.0:
        tolerance = SAME_ROWS * max(-statistics["min"], statistics["max"])
        statistics["distinct"] = float(distinct_rows(rows, tolerance))
    return statistics


def _described(
    values: Tensor, bounds: tuple[float, float] | None, ranks: EffectiveRanks | None
) -> tuple[Tensor, dict[str, float]]:
    """Return ``values`` as rows of samples, and their statistics."""
    z = _rows(values.detach())
    matrix = np.empty((2, compared_shape(z)[0]))
    row = statistics_of_rows(z, saturation_ends(bounds) if bounds else None, matrix)
    if not math.isfinite(row[0]):
        return z, _nothing_but_nonfinite(z)
    statistics = dict(zip(NAMES, row, strict=True))
    shared = EffectiveRanks() if ranks is None else ranks
    shared.add(matrix, statistics)
    if ranks is None:
        shared.fill()
    return z, statistics


def rms(values: Tensor) -> float:
    """Return √(mean |value|²) of finite values without float64, which some devices lack.

    Example:
        >>> rms(torch.tensor([3e30, -3e30])) == rms(torch.tensor(3e30))
        True
    """
    size = values.detach().abs()  # of complex numbers too
    wide = size if size.dtype == torch.float64 else size.float()
    largest = wide.max().item() if wide.numel() else math.nan
    return largest * math.sqrt((wide / largest).square().mean().item()) if largest else 0.0


def real_parts(values: Tensor) -> Tensor:
    """Return real values as they are, complex ones as √2 times their two parts.

    The mean square of the parts is then that of the modulus.

    Shapes:
        values: ``(*any)``; the result has a last dimension of 2 more where they are complex.

    Example:
        >>> real_parts(torch.tensor([3 + 4j])).square().mean().sqrt().item()
        5.0
    """
    if not values.is_complex():
        return values
    return torch.view_as_real(values.resolve_conj()) * math.sqrt(2)


def _rows(values: Tensor) -> Tensor:
    """Return ``values`` as (samples, units), units in memory order: no copy for a dense layout.

    On the CPU in float32 or float64, which the compiled loops take.
    """
    if not values.dim():
        raise ValueError("statistics need a dimension of samples, got a tensor without dimensions")
    values = real_parts(values)
    if values.dim() != 2:
        strides = values.stride()
        order = sorted(range(1, values.dim()), key=lambda k: -strides[k])
        values = values.permute(0, *order).reshape(len(values), -1)
    if values.device.type != "cpu":
        return values
    wide = values if values.dtype in _LOOPED else values.float()
    return wide.contiguous()


def saturation_ends(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the values at and beyond which one counts as saturated.

    Example:
        >>> saturation_ends((0.0, 1.0))
        (0.05, 0.95)
    """
    margin = SATURATION_MARGIN * (bounds[1] - bounds[0])
    return bounds[0] + margin, bounds[1] - margin


def _nothing_but_nonfinite(values: Tensor) -> dict[str, float]:
    share = 1 - int(values.isfinite().sum().item()) / values.numel()
    return {**dict.fromkeys(NAMES, math.nan), "nonfinite": share}
