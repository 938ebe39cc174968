"""Intervals and tests of paired differences, held against scipy and the definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from init_bench.comparison.paired_tests import (
    EXACT_SEEDS,
    least_p,
    seeds_for,
    sign_flip_p,
)
from init_bench.statistics.all_pairs import holm

# Tenths: sums of signed tenths that are equal on paper stay apart from those that are not.
differences = st.lists(st.integers(-50, 50).map(lambda n: n / 10), min_size=2, max_size=8)


@given(differences)
def test_sign_flips_agree_with_scipys_permutation_test(values: list[float]) -> None:
    found = stats.permutation_test(
        (np.round(values, 1), np.zeros(len(values))),
        lambda a, b, axis: np.round((a - b).mean(axis=axis), 9),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_p(values) == pytest.approx(found.pvalue, rel=1e-12)


@given(differences)
def test_p_depends_on_no_sign_and_no_scale_and_is_never_below_the_least(
    values: list[float],
) -> None:
    p = sign_flip_p(values)
    assert least_p(len(values)) <= p <= 1
    assert sign_flip_p([-v for v in values]) == p == sign_flip_p([4 * v for v in values])


@pytest.mark.parametrize("seeds", [2, 5, 10, EXACT_SEEDS])
def test_differences_of_one_sign_reach_the_least_p(seeds: int) -> None:
    assert sign_flip_p(np.arange(1, seeds + 1)) == least_p(seeds) == 2 / 2**seeds


def test_beyond_the_exact_number_of_seeds_the_signs_are_drawn_and_p_stays_above_0() -> None:
    values = np.ones(EXACT_SEEDS + 4)
    assert 0 < sign_flip_p(values) < 1e-4
    assert sign_flip_p(values) == sign_flip_p(values)


def test_nothing_to_test_is_nan_and_no_difference_is_1() -> None:
    assert math.isnan(sign_flip_p([]))
    assert sign_flip_p([0.0, 0.0]) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float]) -> None:
    adjusted = holm(p)
    for alpha in (0.001, 0.05, 0.3):
        rejected: set[int] = set()
        for rank, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] * (len(p) - rank) > alpha:
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(adjusted <= alpha)) == rejected
    assert (adjusted >= p).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 6))
def test_holm_leaves_out_what_was_not_tested(p: list[float], place: int) -> None:
    place = min(place, len(p))
    holed = holm([*p[:place], math.nan, *p[place:]])
    assert math.isnan(holed[place])
    assert np.delete(holed, place).tolist() == holm(p).tolist()


@pytest.mark.parametrize(("tests", "alpha"), [(1, 0.05), (3, 0.05), (40, 0.05), (40, 1e-3)])
def test_the_number_of_seeds_is_the_least_that_can_reach_a_verdict(
    tests: int, alpha: float
) -> None:
    seeds = seeds_for(tests, alpha)
    assert tests * 2 / 2**seeds <= alpha < tests * 2 / 2 ** (seeds - 1)
