"""Sums by the compiled loop, against plain float64 operations."""

import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.statistics.sums.cpu import loop_sums
from tests.statistics.sums.reference import drawn, expected

close = pytest.approx


@given(
    samples=st.integers(1, 150),
    units=st.integers(1, 700),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e30]),
    shift=st.sampled_from([0.0, 1.0]),
    ends=st.sampled_from([None, (-0.5, 0.5)]),
)
def test_sums_are_those_of_the_values(
    samples: int, units: int, scale: float, shift: float, ends: tuple[float, float] | None
) -> None:
    z = scale * (drawn(samples, units).relu() + shift)
    found, wanted = asdict(loop_sums(z, ends)), expected(z, ends)
    assert found == close(wanted, rel=1e-9, abs=1e-20 * scale**2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_floating_dtype_is_read(dtype: torch.dtype) -> None:
    z = drawn(70, 330).to(dtype)
    assert asdict(loop_sums(z)) == close(expected(z, None), rel=1e-9)


def test_what_is_not_contiguous_is_read_too() -> None:
    z = drawn(400, 90)[::2].T
    assert asdict(loop_sums(z)) == close(expected(z, None), rel=1e-9)


def test_a_spread_a_millionth_of_the_mean_is_exact() -> None:
    z = 1 + 1e-6 * drawn(8, 1000)
    assert loop_sums(z).within == close(expected(z, None)["within"], rel=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 650), (149, 699)])
def test_what_is_not_finite_shows_in_the_ends(value: float, place: tuple[int, int]) -> None:
    z = drawn(150, 700)
    z[place] = value
    found = loop_sums(z)
    assert not (math.isfinite(found.low) and math.isfinite(found.high))


@pytest.mark.parametrize("size", [1e-200, 1e200, 1e308])
def test_what_squares_cannot_hold_is_told(size: float) -> None:
    z = drawn(70, 330).double().clamp(-1, 1) * size
    found = loop_sums(z)
    assert found.extreme
    assert (found.low, found.high) == (z.min().item(), z.max().item())


@pytest.mark.slow
def test_the_loop_runs_where_nothing_can_be_stored() -> None:
    """Neither beside the package nor in the user's cache."""
    code = (
        "import torch; from init_bench.statistics.sums import sums; "
        "print(sums(torch.ones(2, 3)).mean)"
    )
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "", "NUMBA_CACHE_DIR": os.devnull + "/none"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1.0\n", done.stderr
