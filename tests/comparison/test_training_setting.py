"""What a comparison trains with: one network, and seeds as a count or as they are."""

from typing import Any

import numpy as np
import pytest

from init_bench.comparison.training_setting import (
    LEAST_SEEDS,
    cell_of,
    planned_seeds,
    seeds_by_default,
    setting_of,
)
from init_bench.errors import InitBenchError


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"lr": [0.1, 0.2]}, "several values of lr"),
        ({"seed": 3}, "seed= is not an axis of a comparison"),
        ({"init": "zeros"}, "init= is not an axis of a comparison"),
        ({"widht": 3}, "did you mean 'width'"),
        ({"activation": "relo"}, "did you mean 'relu'"),
        ({"steps": 0}, "greater than 0"),
    ],
)
def test_a_network_that_is_none_or_several_is_refused(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        cell_of(axes)


@pytest.mark.parametrize("pairs", [1, 5, 20, 100])
def test_the_default_seeds_let_every_comparison_reach_a_verdict(pairs: int) -> None:
    seeds = seeds_by_default(pairs)
    assert seeds >= LEAST_SEEDS
    assert 3 * pairs * 2 / 2**seeds <= 0.05


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (3, (0, 1, 2)),
        (range(2, 4), (2, 3)),
        ([7, 5], (7, 5)),
        (np.array([1, 4]), (1, 4)),
        ({9: "nine"}, (9,)),
    ],
)
def test_seeds_are_a_count_or_the_seeds_themselves(seeds: Any, expected: tuple[int, ...]) -> None:
    (look,) = planned_seeds(seeds, pairs=1)
    assert look == expected and all(type(seed) is int for seed in look)


@pytest.mark.parametrize("seeds", [0, -1, 2.5, True, [], "12", [0.5], [True], [7, 7]])
def test_seeds_that_are_neither_are_refused(seeds: Any) -> None:
    with pytest.raises(InitBenchError, match="seeds must be"):
        planned_seeds(seeds, pairs=1)


@pytest.mark.parametrize(
    ("seeds", "words"),
    [((0,), "seed 0"), ((4, 5), "seeds 4, 5"), (range(1, 9), "seeds 1 to 8")],
)
def test_a_setting_names_data_set_steps_and_seeds(seeds: Any, words: str) -> None:
    setting = setting_of({"steps": 30}, seeds)
    assert setting.startswith("mnist mlp ") and setting.endswith(f"30 steps, {words}")
