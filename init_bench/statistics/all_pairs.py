"""Test all pairs of several arms that share their seeds, and adjust for their number."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from init_bench.statistics.intervals import CONFIDENCE, t_interval

ALPHA = 1 - CONFIDENCE


def holm(p: ArrayLike) -> np.ndarray:
    """Return p-values adjusted for their number; nan stays nan and is not counted.

    Rejecting where the adjusted value is below α keeps the chance of any false rejection below
    α, whatever the dependence between the tests.

    Formula:
        p of rank i among m, smallest first: the largest of (m − j + 1) p_j over j ≤ i, at most 1.

    Source:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    Example:
        >>> holm([0.01, 0.04, float("nan"), 0.03]).tolist()
        [0.03, 0.06, nan, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full_like(values, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return adjusted


def paired_t_p(differences: ArrayLike) -> np.ndarray:
    """Return the two-sided p-value of Student's paired t test for each column of differences.

    Differences that are all 0 have p = 1, others that are all the same p = 0; fewer than two have
    none.

    Example:
        >>> paired_t_p([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]).round(3).tolist()
        [0.074, 1.0]
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without spread
        p = np.asarray(stats.ttest_1samp(values, 0.0, axis=0).pvalue)
    return np.where(np.ptp(values, axis=0) == 0, values[0] == 0, p)


def all_pairs(values: pd.DataFrame, *, margin: float = 0.0) -> pd.DataFrame:
    """Return a row per pair of arms: their difference, its interval, test and verdict.

    ``a`` is the arm with the lower mean. A pair ``differs`` where Holm's p-value over all pairs is
    below 0.05 and the difference is at least ``margin`` of the larger mean; else the verdict is
    ``no difference``.

    Formula:
        difference = mean(b - a) with the t interval that holds for all pairs at once; effect =
        difference / standard deviation of the differences (Cohen's d of pairs).

    Args:
        values: a row per seed, a column per arm; the arms of a row belong together.
        margin: the smallest difference that matters, as a share.

    Returns:
        ``a``, ``b``, ``difference``, ``ci_low``, ``ci_high``, ``effect``, ``p``, ``p_holm``,
        ``n``, ``verdict``.

    Example:
        >>> values = pd.DataFrame({"x": [1.0, 1.1, 0.9, 1.0], "y": [2.1, 2.0, 1.9, 2.0]})
        >>> all_pairs(values)[["a", "b", "verdict"]].to_dict("records")
        [{'a': 'x', 'b': 'y', 'verdict': 'differs'}]
    """
    ordered = values[values.mean().sort_values(kind="stable").index]
    first, second = np.triu_indices(ordered.shape[1], k=1)
    numbers = ordered.to_numpy(dtype=np.float64)
    differences = numbers[:, second] - numbers[:, first]
    intervals = [t_interval(column, comparisons=len(first)) for column in differences.T]
    mean, low, high = np.array(intervals).reshape(-1, 3).T
    spread = differences.std(axis=0, ddof=1) if len(numbers) > 1 else np.zeros(len(first))
    p = paired_t_p(differences)
    p_holm = holm(p)
    clear = (p_holm < ALPHA) & (mean >= margin * np.abs(numbers.mean(axis=0))[second])
    return pd.DataFrame(
        {
            "a": ordered.columns[first],
            "b": ordered.columns[second],
            "difference": mean,
            "ci_low": low,
            "ci_high": high,
            "effect": np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > 0),
            "p": p,
            "p_holm": p_holm,
            "n": len(numbers),
            "verdict": np.where(clear, "differs", "no difference"),
        }
    )


def not_shown_worse(pairs: pd.DataFrame, best: str) -> list[str]:
    """Return the arms that do not differ from ``best``, itself first.

    Example:
        >>> rows = [("x", "y", "no difference"), ("x", "z", "differs")]
        >>> not_shown_worse(pd.DataFrame(rows, columns=["a", "b", "verdict"]), "x")
        ['x', 'y']
    """
    own = pairs[(pairs["a"] == best) | (pairs["b"] == best)]
    equal = own[own["verdict"] == "no difference"]
    others = equal["a"].where(equal["a"] != best, equal["b"])
    return [best, *others]
