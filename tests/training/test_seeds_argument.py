"""Seeds: a count or the seeds themselves."""

import re
from typing import Any

import numpy as np
import pytest

from init_bench.errors import InitBenchError
from init_bench.training.seeds_argument import seeds_from


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        (3, (0, 1, 2)),
        (np.int64(2), (0, 1)),
        ([7, 5], (7, 5)),
        (range(1, 3), (1, 2)),
        (np.arange(2), (0, 1)),
        (iter([4]), (4,)),
    ],
    ids=["count", "numpy count", "list", "range", "array", "iterator"],
)
def test_seeds_are_a_count_or_a_series(given: Any, seeds: tuple[int, ...]) -> None:
    assert seeds_from(given) == seeds


@pytest.mark.parametrize("bad", [0, -1, 2.5, "3", True, [], [0, -1], [0.5], [True, False], None])
def test_what_is_neither_is_refused_with_an_example(bad: Any) -> None:
    got = re.escape(repr(bad))
    expected = rf"seeds must be a count, such as 5, .*such as \[0, 1, 2\]: at least 1; got {got}"
    with pytest.raises(InitBenchError, match=expected):
        seeds_from(bad)


def test_a_seed_given_twice_is_refused() -> None:
    with pytest.raises(InitBenchError, match=r"seeds must be distinct, got \[1, 1\]"):
        seeds_from([1, 1])


def test_too_few_seeds_are_refused() -> None:
    with pytest.raises(InitBenchError, match=r"^seeds must be a count, such as 5, or distinct"):
        seeds_from(0)
    with pytest.raises(InitBenchError, match=r"count, such as 5, 'auto', or .* at least 2; got 1"):
        seeds_from(1, minimum=2, auto=True)
    with pytest.raises(InitBenchError, match="at least 2"):
        seeds_from([3], minimum=2)
