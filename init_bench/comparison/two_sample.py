"""Test two samples: the distance of their distributions and the ratio of their means."""

import math
from typing import Any

import numpy as np
from scipy import stats

from init_bench.comparison.measurements import DRAW_ALPHA


def ks_distance(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Return the largest gap between two empirical distribution functions, its interval and p.

    Formula:
        D = sup |F_a − F_b|; either F is within √(log(2/α')/(2n)) of the truth with probability
        1 − α' (Massart's constant), α' = α/2 for each side; p: two-sample Kolmogorov-Smirnov.

    Source:
        Massart, The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality, 1990.

    Example:
        >>> result = ks_distance(np.zeros(100), np.ones(100))
        >>> result["value"], result["p"] < 1e-50
        (1.0, True)
    """
    test = stats.ks_2samp(a, b)
    distance = float(test.statistic)
    half = sum(math.sqrt(math.log(4 / DRAW_ALPHA) / (2 * len(side))) for side in (a, b))
    low, high = max(0.0, distance - half), min(1.0, distance + half)
    return {"value": distance, "low": low, "high": high, "p": float(test.pvalue)}


def mean_ratio(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Return the ratio of geometric means of two samples with Welch's interval and p-value.

    Where a value is 0 there is no logarithm and nothing is tested.

    Formula:
        exp of the difference of the means of the logarithms, ± t · standard error.

    Source:
        Welch, The Generalization of "Student's" Problem, 1947.

    Example:
        >>> result = mean_ratio(np.array([2.0, 2.2]), np.array([1.0, 1.1]))
        >>> round(result["value"], 3), result["low"] < 2 < result["high"]
        (2.0, True)
    """
    if not (a.all() and b.all()):
        return {"value": float(a.mean() / b.mean()) if b.any() else math.nan}
    # Rounding: differences in the last bits, as of orthogonal matrices, do not count.
    logs = [np.round(np.log(side), 5) for side in (a, b)]
    difference = logs[0].mean() - logs[1].mean()
    variances = [side.var(ddof=1) / len(side) for side in logs]
    error = math.sqrt(sum(variances))
    if error < 1e-9:  # neither varies from draw to draw
        ratio = math.exp(difference)
        return {"value": ratio, "low": ratio, "high": ratio, "p": float(abs(difference) < 2e-5)}
    parts = (v**2 / (len(side) - 1) for v, side in zip(variances, logs, strict=True))
    freedom = error**4 / sum(parts)
    half = float(stats.t.isf(DRAW_ALPHA / 2, freedom)) * error
    low, value, high = np.exp([difference - half, difference, difference + half]).tolist()
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    return {"value": value, "low": low, "high": high, "p": p}
