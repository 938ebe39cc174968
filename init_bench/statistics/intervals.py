"""Confidence intervals."""

import math

import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval over seeds, both ends nan for one seed.

    All three are nan where a seed has no value (it diverged): the rest would flatter.

    Formula:
        mean ± t(0.975, n − 1) · s / √n.

    Example:
        >>> [round(x, 3) for x in interval(pd.Series([1.0, 2.0, 3.0]))]
        [2.0, -0.484, 4.484]
    """
    n, mean = len(values), float(values.mean(skipna=False))
    if n < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


def _bernstein_p(n: int, sd: float, bound: float, deviation: float) -> float:
    """Bound the chance that a mean of n terms deviates so far: each of ``sd``, within ``bound``."""
    exponent = n * deviation**2 / (2 * (sd**2 + bound * abs(deviation) / 3))
    return min(1.0, 2 * math.exp(-exponent))


def _bernstein_half(n: int, sd: float, bound: float, alpha: float) -> float:
    """Return the deviation that ``_bernstein_p`` gives the chance ``alpha``."""
    log = math.log(2 / alpha) / n
    return bound * log / 3 + math.sqrt((bound * log / 3) ** 2 + 2 * sd**2 * log)
