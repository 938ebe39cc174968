"""Sums of large layers on torch's threads, as the statistics show them."""

import math
from pathlib import Path

import pytest
import torch

from init_bench.statistics import describe, row_statistics
from init_bench.statistics.sums.openmp import openmp
from tests.statistics.sums.reference import drawn, expected
from tests.statistics.sums.test_cpu import BOUNDS, ENDS, shown

close = pytest.approx
SHAPES = [(3, 50_001), (8, 40_000), (200, 700), (2000, 70)]


def described(z: torch.Tensor, threads: int) -> dict[str, float]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return describe(z, BOUNDS)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", [0.0, 1.0, 1000.0])
def test_sums_of_a_large_layer_are_those_of_its_values(
    shape: tuple[int, int], shift: float
) -> None:
    z = drawn(*shape).relu() + shift * drawn(1, shape[1])
    assert shown(z, BOUNDS) == close(expected(z, ENDS), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_number_of_threads_does_not_change_a_bit(shape: tuple[int, int]) -> None:
    z = drawn(*shape)
    one, two, three = (str(described(z, threads)) for threads in (1, 2, 3))
    assert one == two == three


def test_one_thread_sums_where_torch_brings_no_library_of_gnu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    z = drawn(8, 40_000)
    threaded = described(z, 2)
    monkeypatch.setattr(row_statistics, "openmp", lambda: None)
    assert described(z, 2) == close(threaded, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 20_000), (7, 39_999)])
def test_one_value_that_is_not_finite_is_found(value: float, place: tuple[int, int]) -> None:
    z = drawn(8, 40_000)
    z[place] = value
    found = describe(z)
    assert found["nonfinite"] == close(1 / z.numel())
    assert math.isnan(found["mean"]) and math.isnan(found["max"])


def test_the_library_of_torchs_threads_is_found_where_it_is_gnus() -> None:
    lib = Path(torch.__file__).parent / "lib"
    assert (openmp() is not None) == any(lib.glob("libgomp*.so*"))
