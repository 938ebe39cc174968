"""Draws against the distribution an initializer states: right ones pass, wrong ones do not."""

import math

import numpy as np
import pytest
from scipy import stats

from init_bench.comparison.pairs_from_names import pairs_of
from init_bench.comparison.stated_distribution import mean_against, stated, variance_against
from init_bench.comparison.tensor_draws import SHAPES, draws
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec, parse

FALSE_ALARM = 1e-7
"""Chance that a right initializer fails one of these tests; streams are fixed, so once for all."""

COUNTERPARTS = [pair.b for pair in pairs_of([])]
SPECS = [
    *dict.fromkeys(spec for pair in pairs_of([]) for spec in (pair.a, pair.b)),
    parse("variance_scaling"),
    parse("variance_scaling(scale=2, mode='fan_out', distribution='uniform')"),
    parse("variance_scaling(mode='fan_avg', distribution='normal')"),
    parse("he_normal(a=0.5, mode='fan_out')"),
    parse("xavier_uniform(gain=3)"),
    parse("uniform(a=-1, b=3)"),
    parse("normal(mean=2, std=0.1)"),
    parse("torch.trunc_normal"),
    parse("torch.trunc_normal(mean=1, std=2, a=-1, b=5)"),
    parse("torch.trunc_normal(std=0.02)"),
]
STATED = [spec for spec in SPECS if stated(spec, (4, 4)) is not None]


CASES = [
    (spec, shape)
    for spec in STATED
    for name, shape in SHAPES.items()
    if name == "tall" or spec not in COUNTERPARTS
]
"""A counterpart of torch's has the bits of ours (``test_pipeline``): one shape, of unlike fans."""


@pytest.mark.parametrize(("spec", "shape"), CASES, ids=str)
def test_draws_are_as_the_initializer_states(spec: InitSpec, shape: tuple[int, ...]) -> None:
    law = stated(spec, shape)
    assert law is not None
    try:
        entries = draws(spec, shape).entries
    except InitBenchError:
        pytest.skip("cannot fill this shape")
    assert stats.kstest(entries, law.cdf).pvalue > FALSE_ALARM
    for test in (mean_against, variance_against):
        found = test(entries, law, FALSE_ALARM)
        assert found.p > FALSE_ALARM
        assert found.low < (1 if test is variance_against else 0) < found.high


@pytest.mark.parametrize("name", ["zeros", "constant(value=0.5)", "normal(std=0)", "torch.eye"])
def test_what_is_no_draw_from_a_continuous_distribution_states_none(name: str) -> None:
    assert stated(parse(name), (4, 4)) is None


@pytest.mark.parametrize("spec", ["he_normal", "he_uniform", "variance_scaling(scale=2)"])
def test_a_spread_two_percent_off_is_found(spec: str) -> None:
    law = stated(parse(spec), (128, 128))
    assert law is not None
    entries = 1.02 * draws(parse(spec), (128, 128)).entries
    found = variance_against(entries, law, 1e-3)
    assert found.p < 1e-6
    assert 1 < found.low < 1.02**2 < found.high


@pytest.mark.parametrize("spec", ["he_normal", "he_uniform"])
def test_a_mean_off_by_two_percent_of_the_std_is_found(spec: str) -> None:
    law = stated(parse(spec), (128, 128))
    assert law is not None
    entries = draws(parse(spec), (128, 128)).entries + 0.02 * law.std()
    found = mean_against(entries, law, 1e-3)
    assert found.p < 1e-6
    assert 0 < found.low < 0.02 < found.high


def test_the_normal_bounds_are_exact() -> None:
    """For n = 1 the mean is the draw and its square is χ²(1): p is that of |z| both ways."""
    z = 1.7
    assert mean_against(np.array([z]), stats.norm(), 0.05).p == pytest.approx(2 * stats.norm.sf(z))
    found = variance_against(np.array([z]), stats.norm(), 0.05)
    assert found.p == pytest.approx(2 * stats.chi2.sf(z**2, 1))
    assert found.low == pytest.approx(z**2 / stats.chi2.isf(0.025, 1))


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 5, 100, 10_000])
def test_bernsteins_p_is_never_below_the_true_one(n: int) -> None:
    """The sum of uniform draws: its exact tail is bounded below by the normal tail near 0 and is 0
    beyond the support, so the bound is compared with the tail seen in many sets of draws."""
    law = stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    sets = np.random.default_rng(n).uniform(-math.sqrt(3), math.sqrt(3), (2000, n))
    p = np.array([mean_against(entries, law, 0.05).p for entries in sets])
    for alpha in (0.01, 0.1, 0.5):
        assert (p <= alpha).sum() <= stats.binom.isf(1e-6, 2000, alpha)
