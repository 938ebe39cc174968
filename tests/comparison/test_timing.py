"""Timing: both sides in turn, torch's functions bare; no test looks at a clock."""

import math
import time

import pytest
import torch

from init_bench.comparison import timing
from init_bench.comparison.measurements import FILLS, TURNS
from init_bench.comparison.pairs_from_names import Pair
from init_bench.init import parse


def pair(a: str, b: str) -> Pair:
    return Pair(a=parse(a), b=parse(b))


def test_the_ratio_is_the_median_over_rounds_and_its_interval_leaves_out_the_extremes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clock by which the n-th fill takes n² shows what is done with the numbers."""
    now = [0.0]
    calls = [0]

    def clock() -> float:
        calls[0] += 1
        if calls[0] % 2 == 0:
            now[0] += (calls[0] // 2) ** 2
        return now[0]

    monkeypatch.setattr(time, "perf_counter", clock)
    (row,) = timing.speed_rows([pair("zeros", "torch.zeros")])
    middle = [(FILLS * block + (FILLS + 1) / 2) ** 2 for block in range(2 * (TURNS + 1))]
    ratios = [
        middle[2 * turn + turn % 2] / middle[2 * turn + 1 - turn % 2]
        for turn in range(1, TURNS + 1)
    ]
    ordered = sorted(ratios)
    assert (row.value, row.low, row.high) == (ordered[TURNS // 2], ordered[1], ordered[-2])
    assert row.n == TURNS
    a, b = (float(row.note.split()[place]) for place in (1, 4))  # μs, to four digits
    assert a / b == pytest.approx(row.value, rel=1e-3)


@pytest.mark.parametrize("name", ["torch.sparse(sparsity=0.5)", "torch.default", "torch.normal"])
def test_timing_leaves_the_global_stream_alone(name: str) -> None:
    before = torch.get_rng_state()
    (row,) = timing.speed_rows([pair(name, "zeros")])
    assert row.value > 0
    assert torch.equal(before, torch.get_rng_state())


def test_what_fills_no_matrix_is_timed_on_a_convolution() -> None:
    (row,) = timing.speed_rows([pair("torch.dirac", "he_normal")])
    assert row.setting == "128x64x3x3"


def test_what_shares_no_shape_is_not_timed_and_says_why() -> None:
    (row,) = timing.speed_rows([pair("torch.dirac", "torch.sparse(sparsity=0.5)")])
    assert math.isnan(row.value)
    assert "dirac_ refuses" in row.note and "sparse_ refuses" in row.note


def test_the_interval_holds_the_median_in_95_percent_of_cases() -> None:
    """The chance that the median lies outside is that of at most 1 of 9 heads, twice."""
    outside = 2 * sum(math.comb(TURNS, k) for k in range(2)) / 2**TURNS
    assert outside < 0.05
