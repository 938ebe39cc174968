"""Counting rows that differ, against comparing every row with every other."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from init_bench.statistics.distinct_rows import distinct_rows

SHAPES = npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
values = npst.arrays(np.float32, SHAPES, elements=st.integers(-2, 2).map(lambda n: n / 4))


def one_by_one(rows: torch.Tensor, tolerance: float) -> int:
    """Count, in order, rows that differ from all that were counted."""
    kept: list[torch.Tensor] = []
    for row in rows:
        if all((row - other).abs().max() > tolerance for other in kept):
            kept.append(row)
    return len(kept)


@given(rows=values, tolerance=st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_rows_are_counted_as_one_by_one(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], tolerance: float
) -> None:
    tensor = torch.tensor(rows)
    assert distinct_rows(tensor, tolerance) == one_by_one(tensor, tolerance)


def test_all_equal_rows_are_one() -> None:
    assert distinct_rows(torch.full((500, 300), 0.01), 1e-7) == 1


def test_rows_that_differ_in_one_narrow_column_are_told_apart() -> None:
    rows = torch.randn(1, 50, generator=torch.Generator().manual_seed(0)).repeat(40, 1)
    rows[:, :10] += torch.arange(40)[:, None] % 2  # ten wide columns that pair the rows up
    rows[:, 20] += 0.01 * torch.arange(40)
    assert distinct_rows(rows, 1e-5) == 40
