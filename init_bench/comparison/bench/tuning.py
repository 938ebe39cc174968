"""Choose each arm's learning rate by successive halving on seeds of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from init_bench.comparison.bench.protocol import TRAINS, Protocol
from init_bench.comparison.bench.tasks import Task, rounded
from init_bench.training.grid import Grid
from init_bench.training.results import Results

ADDED = 2
"""Rates by which a grid grows at one end."""


Train = Callable[[Sequence[Grid]], Results]
"""Trains grids, or finds them stored."""


@dataclass(frozen=True)
class Tuned:
    """Hold the chosen rate of each arm and the runs that it rests on.

    Attributes:
        rates: by arm; an arm that could not be trained has none.
        runs: ``init``, ``lr``, ``seed``, ``round`` (1 or 2), ``steps``, ``loss`` (at most chance's;
            chance's where the run diverged), ``status``, ``trains``.
    """

    rates: dict[str, float]
    runs: pd.DataFrame


def tune(task: Task, arms: Sequence[str], protocol: Protocol, train: Train, chance: float) -> Tuned:
    """Return the best rate of each arm.

    Round 1 trains all rates for a share of the steps; the best of them go on to round 2, with more
    steps, which decides. Where the best is at an end of its grid, the grid is widened there.
    """
    grids = {arm: list(task.first_rates) for arm in arms}
    for widening in range(protocol.widenings + 1):
        first = _round(1, task, grids, protocol, train, chance)
        kept = {arm: _best(first, arm, protocol.kept) for arm in arms}
        second = _round(2, task, {a: r for a, r in kept.items() if r}, protocol, train, chance)
        rates = {arm: found[0] for arm in arms if (found := _best(second, arm, 1))}
        wider = {arm: _widened(grids[arm], rate) for arm, rate in rates.items()}
        if widening == protocol.widenings or wider == {a: grids[a] for a in rates}:
            break
        grids |= wider
    return Tuned(rates, pd.concat([first, second], ignore_index=True))


def _round(
    number: int,
    task: Task,
    rates: Mapping[str, Sequence[float]],
    protocol: Protocol,
    train: Train,
    chance: float,
) -> pd.DataFrame:
    """Return a row per run of one round."""
    steps = protocol.steps(task.steps)[number - 1]
    seeds = protocol.seeds_of_tuning
    grids = [task.grid(arm, lr, seed=seeds, steps=steps) for arm, lr in rates.items()]
    cells = train(grids).cells[["init", "lr", "seed", "steps", "status", "final_loss"]]
    loss = cells["final_loss"].fillna(chance).clip(upper=chance)
    return (
        cells.drop(columns="final_loss")
        .assign(round=number, loss=loss, trains=loss < TRAINS * chance)
        .sort_values(["init", "lr", "seed"], ignore_index=True)
    )


def _best(runs: pd.DataFrame, arm: str, count: int) -> list[float]:
    """Return the rates with the lowest mean loss, best first; of equal ones the lower."""
    means = runs[runs["init"] == arm].groupby("lr")["loss"].mean()
    return [float(lr) for lr in means.sort_values(kind="stable").index[:count]]


def _widened(rates: list[float], best: float) -> list[float]:
    """Return the rates, with more beyond the end where the best one is."""
    ordered = sorted(rates)
    step = (ordered[-1] / ordered[0]) ** (1 / (len(ordered) - 1))
    if best == ordered[0]:
        return [rounded(best / step ** (ADDED - i)) for i in range(ADDED)] + ordered
    if best == ordered[-1]:
        return ordered + [rounded(best * step ** (i + 1)) for i in range(ADDED)]
    return rates


def window_decades(tuned: Tuned, arm: str, rates: Sequence[float]) -> list[float]:
    """Return for each tuning seed how many decades of ``rates`` train in round 1.

    They are the same for all arms of a task: rates that widened the grid of one do not count. Each
    rate stands for the step of the grid around it.
    """
    step = float(np.diff(np.log10(sorted(rates))).mean())
    runs = tuned.runs[(tuned.runs["init"] == arm) & (tuned.runs["round"] == 1)]
    runs = runs[runs["lr"].isin(rates)]  # a wider grid of this arm alone does not count
    return [float(count * step) for count in runs.groupby("seed")["trains"].sum()]
