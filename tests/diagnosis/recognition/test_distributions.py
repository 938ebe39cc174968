"""Families: their numbers against scipy's, their own draws kept, others' told apart."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import (
    NORMAL,
    TRUNCATED,
    UNIFORM,
    Family,
    Sample,
)
from init_bench.hooks.random_streams import stream

LAWS = {
    "uniform": (UNIFORM, stats.uniform(-1, 2)),
    "normal": (NORMAL, stats.norm()),
    "truncated": (TRUNCATED, stats.truncnorm(-2, 2)),
}


def draws(name: str, number: int, seed: int) -> Tensor:
    """Return draws of standard deviation 1, by the inverse of the distribution function."""
    law = LAWS[name][1]
    share = torch.rand(number, generator=stream(seed, name), dtype=torch.float64)
    return torch.from_numpy(law.ppf(share.numpy()) / law.std())


@pytest.mark.parametrize("name", LAWS)
def test_kurtosis_bound_and_chances_are_scipys(name: str) -> None:
    family, law = LAWS[name]
    std = law.std()
    assert family.kurtosis == pytest.approx(law.stats("k") + 3)
    assert family.bound == pytest.approx(law.support()[1] / std)
    for t in (0.1, 1.0, 1.7):
        assert family.below(t) == pytest.approx(law.cdf(t * std) - law.cdf(-t * std))


@pytest.mark.parametrize("name", LAWS)
@given(number=st.integers(1, 5000), seed=st.integers(0, 10**6), log=st.floats(-40, 30))
def test_its_own_draws_are_kept(name: str, number: int, seed: int, log: float) -> None:
    """Rejected in fewer than 3e-6 of the draws, at sizes that float32 cannot square."""
    std = 2.0**log
    assert LAWS[name][0].could_be(Sample.of((std * draws(name, number, seed)).float()), std)


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("name", LAWS)
def test_many_draws_are_of_one_family_and_one_scale(name: str, family: str) -> None:
    sample = Sample.of(draws(name, 5000, 0))
    assert LAWS[family][0].could_be(sample, 1.0) == (name == family)
    assert not any(LAWS[family][0].could_be(sample, std) for std in (0.8, 1.25))


@pytest.mark.parametrize("family", [UNIFORM, NORMAL, TRUNCATED], ids=["u", "n", "t"])
def test_a_shift_an_outlier_and_nothing_at_all_are_rejected(family: Family) -> None:
    values = draws("uniform", 5000, 0)
    assert not family.could_be(Sample.of(values + 0.3), 1.0)
    assert not family.could_be(Sample.of(torch.cat([values, torch.tensor([9.0])])), 1.0)
    assert not family.could_be(Sample.of(torch.zeros(50)), 1.0)
    assert not family.could_be(Sample.of(values), math.nan)
