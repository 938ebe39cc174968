"""Outcomes, answers and ranks from runs that are simulated."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from init_bench.comparison.bench.answers import answer_of, pairs_of_arms, ranking_of, summary_of
from init_bench.comparison.bench.outcomes import arm_outcomes, run_outcomes
from init_bench.comparison.bench.tasks import TASKS, Task
from init_bench.comparison.bench.tuning import Tuned
from init_bench.errors import InitBenchError

CHANCE = math.log(10)
TASK = Task(name="t", architecture="a network", steps=40)


def simulated(means: dict[str, float], rng: np.random.Generator, seeds: int = 10) -> pd.DataFrame:
    """Return final losses about their means: what a seed does to all arms, and noise."""
    shared = rng.normal(scale=0.03, size=seeds)
    rows = []
    for init, mean in means.items():
        losses = np.minimum(mean + shared + rng.normal(scale=0.05, size=seeds), CHANCE)
        rows.append(pd.DataFrame({"init": init, "seed": range(seeds), "final_loss": losses}))
    return pd.concat(rows, ignore_index=True).assign(task="t")


def answered(runs: pd.DataFrame) -> tuple[list[str], list[str], str]:
    answer = answer_of(runs, pairs_of_arms(TASK, runs), CHANCE)
    return answer.use, answer.avoid, answer.verdict


@pytest.mark.slow
def test_two_names_of_one_distribution_are_both_to_use_in_95_of_100_benches() -> None:
    rng = np.random.default_rng(0)
    means = {"a": 0.5, "a again": 0.5, "b": 0.8, "c": 1.5, "dead": 5.0}
    found = [answered(simulated(means, rng)) for _ in range(200)]
    assert sum(use in (["a", "a again"], ["a again", "a"]) for use, _, _ in found) >= 190
    assert sum(avoid == ["dead", "c", "b"] for _, avoid, _ in found) >= 190


def test_a_planted_difference_leaves_one_alone() -> None:
    found = answered(simulated({"a": 0.5, "half": 0.8}, np.random.default_rng(0)))
    assert found == (["a"], ["half"], "best alone")


def test_arms_that_all_fail_do_not_differ() -> None:
    found = answered(simulated({"a": 5.0, "b": 5.0, "c": 5.0}, np.random.default_rng(0)))
    assert found == (["a", "b", "c"], [], "no difference")


def result(curves: dict[int, list[float]], final: list[float], status: list[str]) -> Any:
    keys = [str(seed) for seed in curves]
    cells = pd.DataFrame({"key": keys, "init": "zeros", "lr": 0.1, "seed": list(curves)})
    cells = cells.assign(
        steps=40, status=status, final_loss=final, test_accuracy=0.5, train_seconds=1.0
    )
    rows = [(k, x) for k, losses in zip(keys, curves.values(), strict=True) for x in losses]
    return SimpleNamespace(cells=cells, curves=pd.DataFrame(rows, columns=["key", "loss"]))


def test_the_outcomes_of_a_run_are_as_defined() -> None:
    falling = [2.0] * 10 + [1.0] * 30
    broken = [2.0, 4.0, math.nan]
    runs = run_outcomes(
        TASK, result({0: falling, 1: broken}, [1.2, math.nan], ["ok", "diverged"]), CHANCE
    )
    good, bad = runs.to_dict("records")
    assert good["final_loss"] == 1.2
    assert good["area"] == pytest.approx(1.25)
    # The mean of ten losses is at most 0.5 · ln 10 = 1.151 once nine of them are 1: 1.1.
    assert (good["steps_to_target"], good["reached"]) == (19, True)
    assert bad["final_loss"] == CHANCE
    assert bad["area"] == pytest.approx((2.0 + 39 * CHANCE) / 40)
    assert (bad["steps_to_target"], bad["reached"], bad["diverged"]) == (40, False, True)


def test_every_outcome_of_an_arm_has_an_interval() -> None:
    falling = [2.0] * 10 + [1.0] * 30
    runs = run_outcomes(TASK, result({0: falling, 1: falling}, [1.1, 1.3], ["ok", "ok"]), CHANCE)
    tuning = pd.DataFrame(
        {"init": "zeros", "lr": 0.1, "round": 1, "seed": [5, 6], "trains": [True, True]}
    )
    arms = arm_outcomes(TASK, runs, Tuned({"zeros": 0.1}, tuning)).set_index("outcome")
    names = ("final_loss", "area", "steps_to_target", "test_accuracy", "seconds")
    assert set(arms.index) == {*names, "diverged", "reached", "window_decades"}
    assert arms.loc["final_loss", "value"] == pytest.approx(1.2)
    assert (arms["ci_low"] <= arms["value"]).all()
    assert (arms["ci_high"] >= arms["value"]).all()


def test_no_interval_of_an_outcome_reaches_where_it_cannot_be() -> None:
    curve = [2.0] * 10 + [0.5] * 30
    runs = run_outcomes(TASK, result({0: curve, 1: curve}, [0.01, 1.3], ["ok", "ok"]), CHANCE)
    runs = runs.assign(test_accuracy=[0.2, 0.99], seconds=[0.1, 9.0], area=[0.1, 2.0])
    tuning = pd.DataFrame(
        {"init": "zeros", "lr": [0.1, 0.1], "round": 1, "seed": [5, 6], "trains": [True, False]}
    )
    arms = arm_outcomes(TASK, runs, Tuned({"zeros": 0.1}, tuning)).set_index("outcome")
    touching = ["final_loss", "area", "test_accuracy", "seconds", "window_decades"]
    assert (arms.loc[touching, "ci_low"] == 0).all()
    assert (arms["ci_low"] >= 0).all()
    assert arms.loc["test_accuracy", "ci_high"] == 1


def test_arms_that_share_no_seed_are_named() -> None:
    runs = pd.DataFrame({"init": ["a", "b"], "seed": [0, 1], "final_loss": [0.5, 0.6]})
    with pytest.raises(InitBenchError, match="runs are missing of: a, b"):
        answer_of(runs, pd.DataFrame(), CHANCE)


def test_only_arms_of_all_tasks_are_ranked() -> None:
    rng = np.random.default_rng(0)
    one = simulated({"a": 0.5, "b": 0.9, "c": 1.4, "own": 0.1}, rng)
    two = simulated({"a": 0.6, "b": 0.8, "c": 1.4}, rng).assign(task="u")
    found = ranking_of(pd.concat([one, two]))
    assert found is not None
    assert found.mean_ranks.to_dict() == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_a_small_loss_is_told_to_three_digits() -> None:
    """Of a mean squared error of pixels three decimals would be one digit."""
    task, losses = TASKS["siren"], {"siren": 0.00158, "he_normal": 0.0845}
    runs = pd.DataFrame(
        [
            {"task": "siren", "init": init, "seed": seed, "final_loss": loss * (1 + seed / 100)}
            for init, loss in losses.items()
            for seed in range(10)
        ]
    )
    arms = pd.DataFrame(
        [
            {"task": "siren", "init": init, "outcome": "final_loss", "value": loss}
            for init, loss in losses.items()
        ]
    ).assign(ci_low=0.0014, ci_high=0.00175)
    row = summary_of({"siren": task}, runs, pairs_of_arms(task, runs), arms, {"siren": 0.0854})
    assert row["loss"].item() == "0.00158 [0.00140, 0.00175]"
    assert row["worse_by"].item().startswith("0.0867 [0.08")
