"""Intervals: Student's t covers as often as it says, Bernstein's chance and deviation agree."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from init_bench.statistics.intervals import (
    CONFIDENCE,
    bernstein_half,
    bernstein_p,
    ratio_interval,
    t_interval,
)


def test_an_interval_put_within_what_the_mean_can_be_holds_as_often() -> None:
    rng = np.random.default_rng(0)
    means, limits = 0.3, (0.0, 1.0)
    whole, cut = [], []
    for _ in range(500):
        values = (rng.random(4) < means).astype(float)
        _, low, high = t_interval(values)
        _, low_cut, high_cut = t_interval(values, within=limits)
        assert 0 <= low_cut <= high_cut <= 1
        whole.append(low <= means <= high)
        cut.append(low_cut <= means <= high_cut)
    assert cut == whole and any(whole)


def test_an_interval_within_the_limits_is_left_as_it_is() -> None:
    values = [0.4, 0.5, 0.6]
    assert t_interval(values, within=(0.0, 1.0)) == t_interval(values)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        _, low, high = t_interval(pd.Series(rng.normal(3.0, 2.0, size=5)))
        hits += low <= 3.0 <= high
    assert abs(hits / 2000 - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 2000)


def test_one_seed_has_no_interval() -> None:
    mean, low, high = t_interval(pd.Series([2.0]))
    assert mean == 2.0
    assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, math.inf], []], ids=str)
def test_what_has_no_finite_mean_has_no_interval(values: list[float]) -> None:
    mean, low, high = t_interval(values)
    assert not math.isfinite(mean)
    assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_the_interval_is_scipys(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    expected = stats.t(n - 1, values.mean(), stats.sem(values)).interval(CONFIDENCE)
    assert t_interval(values)[1:] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("comparisons", [3, 45])
def test_several_comparisons_widen_it_as_bonferroni_says(comparisons: int) -> None:
    values = np.random.default_rng(0).normal(size=6)
    level = 1 - (1 - CONFIDENCE) / comparisons
    expected = stats.t(5, values.mean(), stats.sem(values)).interval(level)
    found = t_interval(values, comparisons=comparisons)[1:]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-6])
def test_bernsteins_deviation_has_the_chance_it_was_asked_for(alpha: float) -> None:
    half = bernstein_half(100, 0.7, 2.0, alpha)
    assert bernstein_p(100, 0.7, 2.0, half) == pytest.approx(alpha, rel=1e-9)
    assert bernstein_p(100, 0.7, 2.0, -half) == bernstein_p(100, 0.7, 2.0, half)


def test_a_ratio_and_its_inverse_have_inverse_intervals() -> None:
    values = np.array([80.0, 30.0, 180.0])
    there, back = ratio_interval(values), ratio_interval(1 / values)
    assert there[0] == pytest.approx(stats.gmean(values))
    assert 0 < there[1] < there[0] < there[2] and t_interval(values)[1] < 0
    assert [1 / end for end in back] == pytest.approx([there[0], there[2], there[1]])


@pytest.mark.parametrize("values", [[1.0, 0.0], [2.0, math.nan], []], ids=str)
def test_what_is_no_ratio_has_no_interval(values: list[float]) -> None:
    assert all(math.isnan(end) for end in ratio_interval(values))
