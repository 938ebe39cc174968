"""Ranks over tasks, against published and exact values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from init_bench.statistics.ranks import critical_difference, ranking, share_interval


@pytest.mark.parametrize(("arms", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_published_quantiles(arms: int, q: float) -> None:
    """Demšar 2006, table 5 (a), α = 0.05."""
    expected = q * math.sqrt(arms * (arms + 1) / (6 * 14))
    assert critical_difference(arms, 14) == pytest.approx(expected, rel=1e-3)


def test_ranks_and_p_are_scipys() -> None:
    rng = np.random.default_rng(0)
    losses = pd.DataFrame(rng.normal(size=(8, 4)) + np.arange(4), columns=list("abcd"))
    found = ranking(losses)
    assert found.p == stats.friedmanchisquare(*losses.to_numpy().T).pvalue
    assert found.mean_ranks.index[0] == "a"
    assert found.mean_ranks.sum() == pytest.approx(1 + 2 + 3 + 4)
    assert found.tasks == 8


def test_equal_arms_share_their_rank_and_a_task_with_a_gap_is_left_out() -> None:
    losses = pd.DataFrame({"a": [1.0, 1.0, np.nan], "b": [1.0, 1.0, 5.0], "c": [2.0, 2.0, 1.0]})
    found = ranking(losses)
    assert found.tasks == 2
    assert found.mean_ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0}


@pytest.mark.parametrize("arms", [1, 2])
def test_there_is_no_test_of_fewer_than_three_arms(arms: int) -> None:
    losses = pd.DataFrame(np.arange(6.0).reshape(3, 2)[:, :arms])
    assert math.isnan(ranking(losses).p)


def test_the_interval_of_a_share_stays_within_0_and_1() -> None:
    for count in (0, 3, 10):
        share, low, high = share_interval(count, 10)
        assert 0 <= low <= share <= high <= 1
    assert math.isnan(share_interval(0, 0)[0])
