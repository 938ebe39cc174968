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
    none. A nan is no difference.

    Example:
        >>> paired_t_p([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]).round(3).tolist()
        [0.074, 1.0]
    """
    values = np.asarray(differences, dtype=np.float64)
    paired = np.count_nonzero(~np.isnan(values), axis=0)
    p = np.full(values.shape[1], np.nan)
    for n in set(paired[paired > 1]):
        of_n = paired == n
        columns = values[:, of_n].T
        p[of_n] = _p_without_gaps(columns[~np.isnan(columns)].reshape(-1, n).T)
    return p


def _p_without_gaps(values: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without spread
        p = np.asarray(stats.ttest_1samp(values, 0.0, axis=0).pvalue)
    return np.where(np.ptp(values, axis=0) == 0, values[0] == 0, p)


def all_pairs(values: pd.DataFrame, *, margin: float = 0.0, looks: int = 1) -> pd.DataFrame:
    """Return a row per pair of arms: their difference, its interval, test and verdict.

    ``a`` is the arm with the lower mean. A pair ``differs`` where Holm's p-value over all pairs is
    below 0.05 and the difference is at least ``margin`` of the larger mean; else the verdict is
    ``no difference``. A pair is tested on the seeds that both arms have.

    With several ``looks`` (``init_bench.statistics.planned_looks``) arms may have seeds added, some
    more than others: the chance of any false difference, of any pair at any look, stays at 5 %.

    Formula:
        difference = mean(b - a) with the t interval that holds for all pairs and looks at once;
        effect = difference / standard deviation of the differences (Cohen's d of pairs);
        p_holm = Holm's of looks · p: looks · p at the look that a pair has reached is no smaller
        than looks · its least p of all looks, which is a p-value by Bonferroni.

    Args:
        values: a row per seed, a column per arm; the arms of a row belong together. nan where an
            arm has no run of a seed; one row at least has no nan.
        margin: the smallest difference that matters, as a share.
        looks: how often the arms may be looked at, with more seeds each time.

    Returns:
        ``a``, ``b``, ``difference``, ``ci_low``, ``ci_high``, ``effect``, ``p``, ``p_holm``,
        ``n``, ``verdict``.

    Example:
        >>> values = pd.DataFrame({"x": [1.0, 1.1, 0.9, 1.0], "y": [2.1, 2.0, 1.9, 2.0]})
        >>> all_pairs(values)[["a", "b", "verdict"]].to_dict("records")
        [{'a': 'x', 'b': 'y', 'verdict': 'differs'}]
    """
    ordered = values[values.mean().sort_values(kind="stable").index]
    numbers = ordered.to_numpy(dtype=np.float64)
    first, second = np.triu_indices(ordered.shape[1], k=1)
    worse = np.nanmean(numbers[:, second] - numbers[:, first], axis=0) < 0  # on their own seeds
    first, second = np.where(worse, second, first), np.where(worse, first, second)
    differences = numbers[:, second] - numbers[:, first]
    paired = ~np.isnan(differences)
    columns = [column[both] for column, both in zip(differences.T, paired.T, strict=True)]
    intervals = [t_interval(column, comparisons=looks * len(first)) for column in columns]
    mean, low, high = np.array(intervals).reshape(-1, 3).T
    spread = np.array([column.std(ddof=1) if len(column) > 1 else 0.0 for column in columns])
    larger = np.nanmean(np.where(paired, numbers[:, second], np.nan), axis=0)
    p = paired_t_p(differences)
    p_holm = np.minimum(1.0, looks * holm(p))
    clear = (p_holm < ALPHA) & (mean >= margin * np.abs(larger))
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
            "n": paired.sum(axis=0),
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
