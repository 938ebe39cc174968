"""Measure what came out of each run and of each arm."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from init_bench.comparison.bench.tasks import Task
from init_bench.comparison.bench.tuning import Tuned, window_decades
from init_bench.errors import InitBenchError
from init_bench.statistics.intervals import t_interval
from init_bench.statistics.ranks import share_interval
from init_bench.training.results import Results

SMOOTHED = 10
"""The target counts as reached once the mean of so many losses is below it."""


MEANS = ("final_loss", "area", "steps_to_target", "test_accuracy", "seconds")
"""Outcomes of a run whose mean over seeds is given with Student's interval; none is negative."""


UPPER_BOUNDS = {"test_accuracy": 1.0}
"""The most that an outcome can be, where there is a limit."""


def run_outcomes(task: Task, results: Results, chance: float) -> pd.DataFrame:
    """Return a row per final run.

    Formula:
        final_loss: mean of the last 50 losses; area: mean of all. Both count at most chance's loss,
        and a run that diverged counts with it. steps_to_target: the first step at which the mean of
        the last ten losses is at most ``task.target`` of chance's; all steps where none is.

    Returns:
        ``task``, ``init``, ``lr``, ``seed``, ``steps``, ``status``, ``diverged``, ``final_loss``,
        ``area``, ``steps_to_target``, ``reached``, ``test_accuracy``, ``seconds``.
    """
    cells = results.cells
    losses = {key: part["loss"].to_numpy() for key, part in results.curves.groupby("key")}
    measured = [
        _of_curve(losses[key], steps, task.target * chance, chance)
        for key, steps in zip(cells["key"], cells["steps"], strict=True)
    ]
    curves = pd.DataFrame(measured, columns=["area", "steps_to_target", "reached"])
    diverged = cells["status"] == "diverged"
    runs = pd.concat([cells[["init", "lr", "seed", "steps", "status"]], curves], axis=1)
    rows = runs.assign(
        task=task.name,
        diverged=diverged,
        final_loss=cells["final_loss"].fillna(chance).clip(upper=chance),
        test_accuracy=cells["test_accuracy"],
        seconds=cells["train_seconds"],
    )
    return rows[list(RUN_COLUMNS)].sort_values(["init", "seed"], ignore_index=True)


RUN_COLUMNS = (
    *("task", "init", "lr", "seed", "steps", "status", "diverged"),
    *("final_loss", "area", "steps_to_target", "reached", "test_accuracy", "seconds"),
)


def _of_curve(
    losses: np.ndarray, steps: int, target: float, chance: float
) -> tuple[float, int, bool]:
    """Return area, steps to the target and whether it was reached."""
    whole = np.full(steps, chance)
    finite = np.isfinite(losses)
    whole[: len(losses)] = np.where(finite, np.minimum(losses, chance), chance)
    means = np.convolve(whole, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
    below = np.flatnonzero(means <= target)
    first = int(below[0]) + SMOOTHED if len(below) else steps
    return float(whole.mean()), first, bool(len(below))


def arm_outcomes(task: Task, runs: pd.DataFrame, tuned: Tuned, *, looks: int = 1) -> pd.DataFrame:
    """Return a row per arm and outcome with its 95 % interval, which holds at all looks at once.

    No interval reaches where its outcome cannot be: below 0, or above 1 for the accuracy.

    Returns:
        ``task``, ``init``, ``lr``, ``outcome``, ``value``, ``ci_low``, ``ci_high``, ``n``. The
        outcomes are those of a run, ``diverged`` and ``reached`` as shares (Wilson's interval), and
        ``window_decades``: how many decades of rates train (over the tuning seeds).
    """
    rows = []
    for init, own in runs.groupby("init", sort=False):
        head = {"task": task.name, "init": init, "lr": own["lr"].iloc[0]}
        found = {name: (*_mean_interval(own[name], name, looks), len(own)) for name in MEANS}
        for name in ("diverged", "reached"):
            share = share_interval(int(own[name].sum()), len(own), comparisons=looks)
            found[name] = (*share, len(own))
        window = window_decades(tuned, str(init), task.first_rates)
        found["window_decades"] = (*t_interval(window, within=(0, math.inf)), len(window))
        for outcome, (value, low, high, n) in found.items():
            numbers = {"value": value, "ci_low": low, "ci_high": high, "n": n}
            rows.append({**head, "outcome": outcome, **numbers})
    return pd.DataFrame(rows)


def _mean_interval(values: "pd.Series[float]", name: str, looks: int) -> tuple[float, float, float]:
    """Return the mean of an outcome and its interval, within what the outcome can be."""
    return t_interval(values, comparisons=looks, within=(0.0, UPPER_BOUNDS.get(name, math.inf)))


def value_of(arms: pd.DataFrame, task: str, init: str, outcome: str) -> tuple[float, float, float]:
    """Return the value of one outcome of one arm, and its interval."""
    chosen = arms[(arms["task"] == task) & (arms["init"] == init) & (arms["outcome"] == outcome)]
    if chosen.empty:
        return math.nan, math.nan, math.nan
    row = chosen.iloc[0]
    return float(row["value"]), float(row["ci_low"]), float(row["ci_high"])


def by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return final losses, a row per seed and a column per arm, nan where there is no run.

    Raises:
        InitBenchError: no seed has a run of every arm.
    """
    wide = runs.pivot(index="seed", columns="init", values="final_loss")
    if wide.dropna().empty:
        missing = ", ".join(wide.columns[wide.isna().any()]) or "all"
        raise InitBenchError(
            f"no seed has a finished run of every initializer, so none can be compared; runs are "
            f"missing of: {missing}. The same call again trains what is missing; leave out with "
            "inits what cannot be trained"
        )
    return wide


def order(names: Sequence[str], runs: pd.DataFrame) -> list[str]:
    """Return arms by the mean of their final losses, the lowest first."""
    means = runs.groupby("init")["final_loss"].mean()
    return sorted(names, key=lambda name: (means[name], name))
