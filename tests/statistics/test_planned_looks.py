"""Looking again and again costs no false differences: measured on null comparisons."""

import numpy as np

from init_bench.statistics.intervals import t_interval
from init_bench.statistics.planned_looks import LOOKS, planned_looks

RUNS = 2000


def share_of_differences(shift: float, *, correct: bool) -> float:
    """Return how often a difference is found at one of the looks, among paired normal seeds."""
    draws = np.random.default_rng(0).normal(shift, 1.0, (RUNS, planned_looks(5)[-1]))
    comparisons = LOOKS if correct else 1

    def differs(seeds: np.ndarray) -> bool:
        _, low, high = t_interval(seeds, comparisons=comparisons)
        return low > 0 or high < 0

    return float(np.mean([any(differs(run[:n]) for n in planned_looks(5)) for run in draws]))


def test_false_alarms_over_all_looks_stay_below_5_percent() -> None:
    assert share_of_differences(0.0, correct=True) <= 0.05


def test_looking_again_without_correction_would_not() -> None:
    assert share_of_differences(0.0, correct=False) > 0.07


def test_a_difference_of_one_standard_deviation_is_found() -> None:
    assert share_of_differences(1.0, correct=True) > 0.9
