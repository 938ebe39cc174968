"""Test all pairs of several arms that share their seeds, and adjust for their number."""

import itertools
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


def paired_t_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of Student's paired t test.

    Differences that are all 0 have p = 1, others that are all the same p = 0; fewer than two have
    none.

    Example:
        >>> round(paired_t_p([1.0, 2.0, 3.0]), 3), paired_t_p([0.0, 0.0])
        (0.074, 1.0)
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan")
    if np.ptp(values) == 0:
        return float(values[0] == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # values equal but for their rounding
        return float(stats.ttest_1samp(values, 0.0).pvalue)


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
    order = values.mean().sort_values(kind="stable").index
    pairs = list(itertools.combinations(order, 2))
    rows = [_pair(values, a, b, len(pairs)) for a, b in pairs]
    table = pd.DataFrame(rows, columns=[*_COLUMNS[:7], "n"])
    table["p_holm"] = holm(table["p"])
    larger = values.mean().abs().reindex(table["b"]).to_numpy()
    clear = (table["p_holm"] < ALPHA) & (table["difference"] >= margin * larger)
    table["verdict"] = np.where(clear, "differs", "no difference")
    return table[list(_COLUMNS)]


_COLUMNS = (
    *("a", "b", "difference", "ci_low", "ci_high", "effect", "p"),
    *("p_holm", "n", "verdict"),
)


def _pair(values: pd.DataFrame, a: str, b: str, pairs: int) -> dict[str, object]:
    differences = (values[b] - values[a]).to_numpy()
    mean, low, high = t_interval(differences, comparisons=pairs)
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else float("nan")
    return {
        "a": a,
        "b": b,
        "difference": mean,
        "ci_low": low,
        "ci_high": high,
        "effect": mean / spread if spread else float("nan"),
        "p": paired_t_p(differences),
        "n": len(differences),
    }


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
