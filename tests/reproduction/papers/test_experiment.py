"""Quantities that decide claims, on tables whose answer is known."""

import pytest

from init_bench.reproduction.claim_verdicts import Values
from init_bench.reproduction.papers import quantities as of
from init_bench.reproduction.papers.experiment import frames_of, tables

FRAMES = frames_of(
    tables(
        [
            (quantity, series, x, seed, base * x + seed)
            for quantity, series, base in (("std", "a", 1.0), ("std", "b", 4.0), ("loss", "a", 2.0))
            for x in (1, 2)
            for seed in (0, 1)
        ],
        [("std", "a", 1, 1.0), ("std", "a", 2, 4.0)],
    )
)

CASES: list[tuple[str, Values, list[float]]] = [
    ("measured", of.value_of("std", "a"), [2.0, 3.0]),
    ("measured", of.value_of("std", "a", 1), [1.0, 2.0]),
    ("measured", of.least("std", "b"), [4.0, 5.0]),
    ("measured", of.last_over_first("std", "a"), [2.0, 1.5]),
    ("measured", of.over("std", "b", "a"), [4.0, 3.0]),
    ("measured", of.farthest("loss", center=1.0), [3.0, 4.0]),
    ("ratio", of.farthest_ratio("std"), [0.5, 1.0]),
    ("ratio", of.mean_ratio("std", "a"), [0.75, 1.375]),
    ("difference", of.farthest("std"), [2.0, 1.0]),
]


@pytest.mark.parametrize(("frame", "measure", "expected"), CASES)
def test_a_quantity_has_one_value_per_seed(
    frame: str, measure: Values, expected: list[float]
) -> None:
    found = measure(FRAMES[frame])
    assert found.tolist() == pytest.approx(expected)
    assert found.index.tolist() == [0, 1]


def test_only_what_theory_speaks_of_is_compared_with_it() -> None:
    assert set(FRAMES["ratio"]["series"]) == {"a"} and len(FRAMES["ratio"]) == 4
