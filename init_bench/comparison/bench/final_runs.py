"""Train the final runs of a task: from the planned seeds, and from more where they may decide."""

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from init_bench.comparison.bench.answers import pairs_of_arms, undecided
from init_bench.comparison.bench.protocol import Protocol
from init_bench.comparison.bench.tasks import Task

Train = Callable[[Mapping[str, tuple[int, ...]]], pd.DataFrame]
"""Trains each arm from its seeds, or finds the runs stored; returns a row per run."""


def final_runs(
    task: Task, arms: Iterable[str], protocol: Protocol, train: Train
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the final runs of the arms and the tests of all pairs.

    All arms have the seeds of the first look. The best, and those not set apart from it, have those
    of the next one too, and so on until one is left, or nothing that matters can be left to find.
    """
    seeds: dict[str, tuple[int, ...]] = {}
    open_arms = list(arms)
    for look in protocol.looks:
        seeds |= dict.fromkeys(open_arms, look)
        runs = train(seeds)
        pairs = pairs_of_arms(task, runs, looks=len(protocol.looks))
        open_arms = undecided(runs, pairs)
        if not open_arms:
            break
    return runs, pairs
