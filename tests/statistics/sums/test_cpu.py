"""Sums by the compiled loop, as a layer's statistics show them, against float64 operations."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.statistics import describe
from tests.statistics.sums.reference import drawn, expected

close = pytest.approx
BOUNDS = (-0.5, 0.5)
ENDS = (-0.45, 0.45)


def shown(z: torch.Tensor, bounds: tuple[float, float] | None = None) -> dict[str, float]:
    """Return the sums that the statistics of ``z`` are made of."""
    found = describe(z, bounds)
    return {
        "low": found["min"],
        "high": found["max"],
        "constant_units": found["dead"] * z.shape[1],
        "mean": found["mean"],
        "within": found["sample_std"] ** 2,
        "between": found["unit_std"] ** 2,
        "zeros": found["zero"] * z.numel(),
        "near_ends": found["saturated"] * z.numel(),
    }


@given(
    samples=st.integers(1, 150),
    units=st.integers(1, 700),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e30]),
    shift=st.sampled_from([0.0, 1.0]),
    bounded=st.booleans(),
)
def test_sums_are_those_of_the_values(
    samples: int, units: int, scale: float, shift: float, bounded: bool
) -> None:
    z = scale * (drawn(samples, units).relu() + shift)
    found, wanted = shown(z, BOUNDS if bounded else None), expected(z, ENDS if bounded else None)
    rounding = 1e-15 * scale**2  # a variance between units is a difference of squares
    assert found == close(wanted, rel=1e-9, abs=rounding, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_floating_dtype_is_read(dtype: torch.dtype) -> None:
    z = drawn(70, 330).to(dtype)
    assert shown(z) == close(expected(z, None), rel=1e-9, nan_ok=True)


def test_what_is_not_contiguous_is_read_too() -> None:
    z = drawn(400, 90)[::2].T
    assert shown(z) == close(expected(z, None), rel=1e-9, nan_ok=True)


def test_a_spread_a_millionth_of_the_mean_is_exact() -> None:
    z = 1 + 1e-6 * drawn(8, 1000)
    assert shown(z)["within"] == close(expected(z, None)["within"], rel=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 650), (149, 699)])
def test_one_value_that_is_not_finite_is_found(value: float, place: tuple[int, int]) -> None:
    z = drawn(150, 700)
    z[place] = value
    found = describe(z)
    assert found["nonfinite"] == close(1 / z.numel())
    assert math.isnan(found["mean"]) and math.isnan(found["max"])


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e308])
def test_a_layer_whose_squares_leave_the_range_is_described(size: float) -> None:
    z = drawn(70, 330).double().clamp(-1, 1) * size
    found, unit = describe(z), z / size
    assert (found["min"], found["max"]) == (z.min().item(), z.max().item())
    wanted = {"std": unit.std(correction=0).item(), "rms": unit.square().mean().sqrt().item()}
    assert {name: found[name] / size for name in wanted} == close(wanted, rel=1e-9)
    assert found["effective_rank"] == close(describe(unit)["effective_rank"], rel=1e-9)


@pytest.mark.slow
def test_the_loop_runs_where_nothing_can_be_stored() -> None:
    """Neither beside the package nor in the user's cache."""
    code = (
        "import torch; from init_bench.statistics import describe; "
        "print(describe(torch.ones(2, 3))['mean'])"
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
