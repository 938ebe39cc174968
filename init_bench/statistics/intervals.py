"""Compute confidence intervals: Student's t over seeds, Bernstein's for bounded values."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

CONFIDENCE = 0.95


def t_interval(
    values: ArrayLike,
    *,
    comparisons: int = 1,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval over seeds, both ends nan for one seed.

    All three are nan where a seed has no value (it diverged): the rest would flatter. An infinite
    mean has no interval.

    Formula:
        mean ± t(1 − 0.025 / comparisons, n − 1) · s / √n: with several comparisons, all of their
        intervals hold at once (Bonferroni). An end outside of ``within``, what the mean can be at
        all, is put at that limit: the mean is never beyond it, so the interval holds as often.

    Example:
        >>> [round(x, 3) for x in t_interval([1.0, 2.0, 3.0])]
        [2.0, -0.484, 4.484]
        >>> [round(x, 3) for x in t_interval([1.0, 2.0, 3.0], within=(0, math.inf))]
        [2.0, 0.0, 4.484]
    """
    values = np.asarray(values)
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2 or not math.isfinite(mean):
        return mean, math.nan, math.nan
    quantile = special.stdtrit(n - 1, 1 - (1 - CONFIDENCE) / (2 * comparisons))
    half = float(quantile * values.std(ddof=1) / math.sqrt(n))
    return mean, max(mean - half, float(within[0])), min(mean + half, float(within[1]))


def ratio_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Return the geometric mean of positive values and its 95 % interval over seeds.

    For ratios: a half and a double lie equally far from 1, and no end is negative. All three are
    nan where a value is missing or not positive.

    Formula:
        exp of ``t_interval`` of the logarithms.

    Example:
        >>> [round(x, 3) for x in ratio_interval([1.0, 2.0, 4.0])]
        [2.0, 0.357, 11.19]
    """
    values = np.asarray(values, dtype=float)
    if not (values > 0).all():
        return math.nan, math.nan, math.nan
    mean, low, high = (float(end) for end in np.exp(t_interval(np.log(values))))
    return mean, low, high


def bernstein_p(n: int, sd: float, bound: float, deviation: float) -> float:
    """Bound the chance that a mean of n terms deviates so far: each of ``sd``, within ``bound``.

    Example:
        >>> round(bernstein_p(100, 1.0, 2.0, 0.5), 6)
        0.00017
    """
    exponent = n * deviation**2 / (2 * (sd**2 + bound * abs(deviation) / 3))
    return min(1.0, 2 * math.exp(-exponent))


def bernstein_half(n: int, sd: float, bound: float, alpha: float) -> float:
    """Return the deviation that ``bernstein_p`` gives the chance ``alpha``.

    Example:
        >>> round(bernstein_p(100, 1.0, 2.0, bernstein_half(100, 1.0, 2.0, 0.05)), 6)
        0.05
    """
    log = math.log(2 / alpha) / n
    return bound * log / 3 + math.sqrt((bound * log / 3) ** 2 + 2 * sd**2 * log)
