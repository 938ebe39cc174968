"""Tensor → numbers: what a layer's output says about its network. All variances divide by n.

Reduced in float64 on the CPU, which every accelerator can reach and some cannot compute in.
"""

import math

import torch
from torch import Tensor

SATURATION_MARGIN = 0.05
"""A value within this share of the range from an end of the range counts as saturated."""

PAIRED_SAMPLES = 128
"""``correlation`` compares this many samples (the first), each with each."""

RANKED_SAMPLES = 1024
"""``effective_rank`` looks at this many samples (the first)."""

ROUNDING = 1e-7
"""Singular values below this share of the largest are float32 rounding and count as 0."""

STATISTICS = (
    "mean",
    "std",
    "min",
    "max",
    "saturated",
    "dead",
    "zero",
    "sample_std",
    "unit_std",
    "correlation",
    "effective_rank",
    "distinct",
    "nonfinite",
)
"""Columns of the layer table; ``describe`` and ``describe_weight`` fill those that apply."""


def describe(values: Tensor, bounds: tuple[float, float] | None = None) -> dict[str, float]:
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
    - ``nonfinite``: fraction of nan and ±inf. Where it is above 0 the rest is nan.

    Shapes:
        values: ``(samples, *units)``, floating point, any device.

    Source:
        effective rank: Roy & Vetterli, The effective rank, 2007, eq. 2–4.

    Example:
        >>> two_units = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
        >>> numbers = describe(two_units, bounds=(0.0, 1.0))
        >>> numbers["dead"], numbers["saturated"], round(numbers["sample_std"] ** 2, 6)
        (0.5, 1.0, 0.125)
    """
    raw = values.detach().cpu().reshape(len(values), -1)
    low, high = torch.aminmax(raw, dim=0)
    if not math.isfinite(low.min().item()) or not math.isfinite(high.max().item()):
        return _nothing_but_nonfinite(raw)
    z = raw.double()
    mean = z.mean(dim=0)
    variance = (z - mean).square_().mean(dim=0)
    within, between = variance.mean().item(), mean.var(correction=0).item()
    return dict.fromkeys(STATISTICS, math.nan) | {
        "mean": mean.mean().item(),
        "std": math.sqrt(within + between),
        "min": low.min().item(),
        "max": high.max().item(),
        "zero": _zeros(raw),
        "saturated": _saturated(raw, bounds),
        "dead": (low == high).double().mean().item(),
        "sample_std": math.sqrt(within),
        "unit_std": math.sqrt(between),
        "correlation": _correlation(z[:PAIRED_SAMPLES]),
        "effective_rank": _effective_rank(z[:RANKED_SAMPLES]),
        "nonfinite": 0.0,
    }


def describe_weight(weight: Tensor) -> dict[str, float]:
    """Return the statistics of a weight: moments, zeros, effective rank and distinct units.

    ``distinct`` is the number of different rows, a row being a unit's incoming weights; rows
    that agree to 1e-5 of the largest entry are the same (equal units drift apart by rounding).
    The rest is as in ``describe``; what speaks of samples is nan.

    Shapes:
        weight: ``(n_out, *inputs)``.

    Example:
        >>> describe_weight(torch.ones(3, 2))["distinct"]
        1.0
    """
    rows = weight.detach().cpu().reshape(len(weight), -1).double()
    if not rows.isfinite().all():
        return _nothing_but_nonfinite(rows)
    return dict.fromkeys(STATISTICS, math.nan) | {
        "mean": rows.mean().item(),
        "std": rows.std(correction=0).item(),
        "min": rows.min().item(),
        "max": rows.max().item(),
        "zero": _zeros(rows),
        "effective_rank": _effective_rank(rows),
        "distinct": float(_distinct_rows(rows)),
        "nonfinite": 0.0,
    }


def _nothing_but_nonfinite(values: Tensor) -> dict[str, float]:
    share = 1 - torch.isfinite(values).double().mean().item()
    return dict.fromkeys(STATISTICS, math.nan) | {"nonfinite": share}


def _zeros(values: Tensor) -> float:
    return 1 - int(torch.count_nonzero(values).item()) / values.numel()


def _saturated(z: Tensor, bounds: tuple[float, float] | None) -> float:
    if bounds is None:
        return math.nan
    low, high = bounds
    margin = SATURATION_MARGIN * (high - low)
    return ((z <= low + margin) | (z >= high - margin)).double().mean().item()


def _correlation(z: Tensor) -> float:
    centred = z - z.mean(dim=1, keepdim=True)
    norm = centred.norm(dim=1)
    unit = centred[norm > ROUNDING * z.norm(dim=1)]
    if len(unit) < 2:
        return math.nan
    unit = unit / unit.norm(dim=1, keepdim=True)
    pairs = len(unit) * (len(unit) - 1)
    return float(((unit @ unit.T).abs().sum().item() - len(unit)) / pairs)


def _effective_rank(z: Tensor) -> float:
    gram = z @ z.T if z.shape[0] <= z.shape[1] else z.T @ z
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    kept = singular[singular > ROUNDING * singular.max()]
    share = kept / kept.sum()
    return math.exp(-(share * share.log()).sum().item()) if len(kept) else 0.0


def _distinct_rows(rows: Tensor) -> int:
    """Count rows that differ from every row counted before them.

    Rows that agree to a tolerance have sums that agree to as many times that as there are
    columns: only those few are compared entry by entry.
    """
    tolerance = 1e-5 * rows.abs().max()
    sums, reach = rows.sum(dim=1), tolerance * rows.shape[1]
    counted = torch.zeros(len(rows), dtype=torch.bool)
    for i, row in enumerate(rows):
        near = counted & ((sums - sums[i]).abs() <= reach)
        if not near.any() or ((rows[near] - row).abs().amax(dim=1) > tolerance).all():
            counted[i] = True
    return int(counted.sum().item())
