"""Tuning by successive halving, on losses that are a formula of the rate."""

import itertools
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from init_bench.comparison.bench.protocol import FIRST_TUNING_SEED, Protocol
from init_bench.comparison.bench.tasks import Task
from init_bench.comparison.bench.tuning import Tuned, tune, window_decades
from init_bench.training.grid import Grid

CHANCE = 2.3
TASK = Task(name="t", architecture="", steps=200)
Loss = Callable[[str, float], float]


def trained(loss: Loss) -> tuple[Callable[[Sequence[Grid]], Any], list[tuple[Any, ...]]]:
    """Return a training whose final loss is a formula, nan where it diverges, and its calls."""
    calls: list[tuple[Any, ...]] = []

    def train(grids: Sequence[Grid]) -> Any:
        rows = []
        for grid in grids:
            calls.append((grid.init[0], grid.lr, grid.steps[0]))
            for lr, seed in itertools.product(grid.lr, grid.seed):
                found = loss(grid.init[0], lr)
                status = "ok" if math.isfinite(found) else "diverged"
                rows.append([grid.init[0], lr, seed, grid.steps[0], status, found])
        columns = ["init", "lr", "seed", "steps", "status", "final_loss"]
        return SimpleNamespace(cells=pd.DataFrame(rows, columns=columns))

    return train, calls


def bowl(best: float) -> Loss:
    """Return losses that are lowest at a rate and nan a decade and a half above it."""

    def loss(init: str, lr: float) -> float:
        distance = math.log10(lr / best)
        return math.nan if distance > 1.4 else min(CHANCE, 0.5 + distance**2)

    return loss


def tuned(loss: Loss, protocol: Protocol | None = None) -> Tuned:
    train, _ = trained(loss)
    return tune(TASK, ["zeros"], protocol or Protocol(), train, CHANCE)


@pytest.mark.parametrize("best", [0.01, 0.1, 1.0])
def test_the_best_rate_of_the_grid_is_found(best: float) -> None:
    assert tuned(bowl(best)).rates == {"zeros": best}


@pytest.mark.parametrize("best", [1e-4, 1e-5, 31.6, 100.0])
def test_a_grid_whose_best_rate_is_at_its_end_is_widened(best: float) -> None:
    assert tuned(bowl(best)).rates["zeros"] == pytest.approx(best, rel=1e-2)


def test_widening_ends_somewhere() -> None:
    found = tuned(lambda init, lr: 1 / (1 + lr))
    assert found.rates["zeros"] == pytest.approx(1000, rel=1e-2)  # 10, and two half decades twice


def test_rates_are_halved_with_growing_steps_on_seeds_of_their_own() -> None:
    train, calls = trained(bowl(0.1))
    found = tune(TASK, ["zeros", "he_normal"], Protocol(), train, CHANCE)
    assert [(len(lr), steps) for _, lr, steps in calls] == [(9, 50), (9, 50), (3, 100), (3, 100)]
    assert found.runs["seed"].min() == FIRST_TUNING_SEED
    assert found.runs["seed"].nunique() == 3


def test_each_arm_has_its_own_rate() -> None:
    rates = {"zeros": 0.01, "he_normal": 1.0}
    train, _ = trained(lambda init, lr: bowl(rates[init])(init, lr))
    assert tune(TASK, list(rates), Protocol(), train, CHANCE).rates == rates


def test_a_run_that_diverged_counts_as_chance_and_does_not_train() -> None:
    runs = tuned(bowl(0.01)).runs
    diverged = runs[runs["status"] == "diverged"]
    assert len(diverged)
    assert (diverged["loss"] == CHANCE).all()
    assert not diverged["trains"].any()


def test_the_window_counts_half_decades_that_train() -> None:
    """0.8 · 2.3 = 1.84 is left within √1.34 = 1.16 decades: two half decades on either side."""
    found = tuned(bowl(0.1))
    assert window_decades(found, "zeros", TASK.first_rates) == pytest.approx([2.5] * 3, rel=1e-2)


def test_an_arm_that_could_not_be_trained_has_no_rate() -> None:
    train, _ = trained(bowl(0.1))
    without = lambda grids: train([g for g in grids if g.init[0] != "zeros"])  # noqa: E731
    assert list(tune(TASK, ["zeros", "he_normal"], Protocol(), without, CHANCE).rates) == [
        "he_normal"
    ]
