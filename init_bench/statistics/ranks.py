"""Rank arms over several tasks: Friedman's test and Nemenyi's critical difference."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from init_bench.statistics.intervals import CONFIDENCE


@dataclass(frozen=True)
class Ranking:
    """Hold mean ranks over tasks and what their differences mean.

    Attributes:
        mean_ranks: by arm, lowest first; 1 is the best of each task.
        p: of Friedman's test that all arms are alike; nan for fewer than three arms or two tasks.
        critical_difference: mean ranks farther apart than this differ (Nemenyi, 5 % over all
            pairs); nan where there is no test.
        tasks: how many were ranked.
    """

    mean_ranks: "pd.Series[float]"
    p: float
    critical_difference: float
    tasks: int


def ranking(losses: pd.DataFrame) -> Ranking:
    """Return the ranking of arms over tasks.

    Formula:
        CD = q √(k (k + 1) / (6 N)), q the 95 % quantile of the studentized range over √2, k arms,
        N tasks.

    Args:
        losses: a row per task, a column per arm, lower is better; rows with a gap are left out.

    Source:
        Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, 2006, sec. 3.2.

    Example:
        >>> losses = pd.DataFrame({"x": [1, 2, 1.0], "y": [2, 3, 2.0], "z": [3, 4, 3.0]})
        >>> found = ranking(losses)
        >>> found.mean_ranks.to_dict(), round(found.p, 3)
        ({'x': 1.0, 'y': 2.0, 'z': 3.0}, 0.05)
    """
    whole = losses.dropna()
    tasks, arms = whole.shape
    ranks = pd.DataFrame(stats.rankdata(whole, axis=1).reshape(tasks, arms), columns=whole.columns)
    mean_ranks = ranks.mean().sort_values(kind="stable")
    if tasks < 2 or arms < 3 or (whole.nunique(axis=1) == 1).all():
        return Ranking(mean_ranks, math.nan, math.nan, tasks)
    p = float(stats.friedmanchisquare(*whole.to_numpy().T).pvalue)
    return Ranking(mean_ranks, p, critical_difference(arms, tasks), tasks)


def critical_difference(arms: int, tasks: int) -> float:
    """Return how far apart mean ranks must be to differ.

    Example:
        >>> round(critical_difference(arms=4, tasks=14), 2)
        1.25
    """
    quantile = float(stats.studentized_range.ppf(CONFIDENCE, arms, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(arms * (arms + 1) / (6 * tasks))


def share_interval(count: int, n: int, *, comparisons: int = 1) -> tuple[float, float, float]:
    """Return a share and its 95 % interval by Wilson, both ends nan for no cases.

    With several comparisons, all of their intervals hold at once (Bonferroni).

    Example:
        >>> [round(x, 2) for x in share_interval(0, 10)]
        [0.0, 0.0, 0.28]
    """
    if n == 0:
        return math.nan, math.nan, math.nan
    confidence = 1 - (1 - CONFIDENCE) / comparisons if comparisons > 1 else CONFIDENCE
    interval = stats.binomtest(count, n).proportion_ci(confidence, method="wilson")
    return count / n, float(interval.low), float(interval.high)
