"""Seeds are added where they decide, and looking again costs no false differences: simulated."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from init_bench.comparison.bench.answers import answer_of
from init_bench.comparison.bench.final_runs import final_runs
from init_bench.comparison.bench.protocol import Protocol, protocol_from
from init_bench.comparison.bench.tasks import Task

CHANCE = math.log(10)
TASK = Task(name="t", architecture="a network", steps=40)
AUTO = protocol_from("auto", quick=False)
MOST = len(AUTO.looks[-1])

Seeds = Mapping[str, tuple[int, ...]]


def training(
    means: Mapping[str, float], rng: np.random.Generator, spread: float = 0.05
) -> tuple[Callable[[Seeds], pd.DataFrame], list[dict[str, int]]]:
    """Return a training whose losses are drawn once, and how many seeds each call asked for."""
    shared = rng.normal(scale=0.03, size=MOST)
    losses = {a: mean + shared + rng.normal(scale=spread, size=MOST) for a, mean in means.items()}
    calls: list[dict[str, int]] = []

    def train(seeds: Seeds) -> pd.DataFrame:
        calls.append({arm: len(own) for arm, own in seeds.items()})
        rows = [(arm, s, losses[arm][s]) for arm, own in seeds.items() for s in own]
        return pd.DataFrame(rows, columns=["init", "seed", "final_loss"]).assign(task="t")

    return train, calls


def found(
    means: Mapping[str, float], rng: np.random.Generator, protocol: Protocol = AUTO
) -> tuple[pd.DataFrame, list[str], dict[str, int]]:
    """Return the tests of all pairs, the arms to use, and how many seeds each arm has."""
    train, calls = training(means, rng)
    runs, pairs = final_runs(TASK, means, protocol, train)
    return pairs, answer_of(runs, pairs, CHANCE).use, calls[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "benches"), [(2, 2000), (4, 500)])
def test_less_than_5_of_100_null_benches_show_any_difference_at_any_look(
    arms: int, benches: int
) -> None:
    rng = np.random.default_rng(0)
    means = {f"arm{i}": 0.5 for i in range(arms)}
    false = [(found(means, rng)[0]["verdict"] == "differs").any() for _ in range(benches)]
    assert np.mean(false) <= 0.05


@pytest.mark.slow
def test_a_real_difference_costs_no_false_one_elsewhere() -> None:
    """An arm that is set apart at once leaves fewer pairs; those left are still counted right."""
    rng = np.random.default_rng(1)
    means = {"a": 0.5, "a again": 0.5, "a once more": 0.5, "worse": 0.8}
    false = 0
    for _ in range(500):
        pairs, _, _ = found(means, rng)
        alike = pairs[(pairs["a"] != "worse") & (pairs["b"] != "worse")]
        false += bool((alike["verdict"] == "differs").any())
    assert false <= 25


def test_a_difference_that_ten_seeds_hide_is_found_with_more() -> None:
    means, rng = {"a": 0.5, "b": 0.54, "far": 1.5}, np.random.default_rng(0)
    fixed, auto = 0, 0
    for _ in range(8):
        fixed += found(means, rng, Protocol())[1] == ["a"]
        auto += found(means, rng)[1] == ["a"]
    assert auto >= 5 > fixed


def test_only_arms_that_are_not_set_apart_have_more_seeds() -> None:
    train, calls = training({"a": 0.5, "a again": 0.5, "far": 1.5}, np.random.default_rng(0))
    runs, pairs = final_runs(TASK, ["a", "a again", "far"], AUTO, train)
    assert [call["a"] for call in calls] == [10, 20, 40]
    assert [call["far"] for call in calls] == [10, 10, 10]
    own = pairs.set_index(["a", "b"])["n"]
    assert sorted(own.to_numpy().tolist()) == [10, 10, 40]
    assert len(runs) == 90


def test_a_clear_answer_takes_no_more_seeds() -> None:
    _, use, seeds = found({"a": 0.5, "far": 1.5}, np.random.default_rng(0))
    assert (use, seeds) == (["a"], {"a": 10, "far": 10})


def test_arms_that_are_as_good_as_equal_take_no_more_seeds() -> None:
    train, calls = training({"a": 2.3, "b": 2.3}, np.random.default_rng(0), spread=1e-3)
    final_runs(TASK, ["a", "b"], AUTO, train)
    assert calls == [{"a": 10, "b": 10}]


def test_seeds_that_were_given_are_looked_at_once() -> None:
    train, calls = training({"a": 0.5, "b": 0.5}, np.random.default_rng(0))
    final_runs(TASK, ["a", "b"], protocol_from([3, 8, 9], quick=False), train)
    assert calls == [{"a": 3, "b": 3}]
