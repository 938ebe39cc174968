"""A batch as mean field sees it."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.errors import InitBenchError
from init_bench.statistics.layer_statistics import describe
from init_bench.theory import Inputs


@given(samples=st.integers(2, 6), features=st.integers(1, 9), seed=st.integers(0, 999))
def test_the_moments_are_those_of_all_pairs(samples: int, features: int, seed: int) -> None:
    x = torch.randn(samples, features, generator=torch.Generator().manual_seed(seed)).double() + 1
    gram = x @ x.T / features
    found = Inputs.of(x)
    off_diagonal = (gram.sum() - gram.trace()) / (samples * (samples - 1))
    assert found.samples == samples
    assert found.second_moment == pytest.approx(gram.diagonal().mean().item())
    assert found.cosine == pytest.approx((off_diagonal / gram.diagonal().mean()).item(), abs=1e-9)


def test_the_distance_of_samples_is_their_sample_std() -> None:
    x = torch.rand(7, 3, 4, generator=torch.Generator().manual_seed(0))
    found = Inputs.of(x)
    within = found.second_moment * (1 - found.cosine) * (1 - 1 / 7)
    assert within == pytest.approx(describe(x)["sample_std"] ** 2)


@pytest.mark.parametrize("x", [torch.zeros(3, 4), torch.ones(1, 4)], ids=["zeros", "one sample"])
def test_a_batch_without_angles_has_cosine_0(x: torch.Tensor) -> None:
    assert Inputs.of(x).cosine == 0


def test_equal_samples_have_cosine_1() -> None:
    assert Inputs.of(torch.full((5, 3), 0.1)).cosine == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"second_moment": -1}, "second_moment must be a finite number >= 0, got -1"),
        ({"cosine": 1.1}, r"cosine must lie in \[-1, 1\], got 1\.1"),
        ({"cosine": math.nan}, "cosine must be a finite number, got nan"),
        ({"samples": 0}, "samples must be 1 or more, got 0"),
        ({"samples": math.nan}, "samples must be 1 or more, got nan"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        Inputs(**arguments)
