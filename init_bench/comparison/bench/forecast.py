"""Forecast a benchmark: what it trains, and about how long that takes."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from init_bench.comparison.bench.pipeline import planned
from init_bench.comparison.bench.protocol import Protocol
from init_bench.comparison.bench.tasks import Task
from init_bench.training.devices import devices_of
from init_bench.training.dispatch import default_workers
from init_bench.training.forecast import forecast

CELLS = 10
"""Cells that are timed as one chunk."""


@dataclass(frozen=True)
class BenchForecast:
    """Hold what a benchmark would train; nothing stored is subtracted.

    Attributes:
        table: a row per task: ``task``, ``arms``, ``runs``, ``steps`` (of all runs), ``seconds``.
        workers: chunks trained at the same time.
    """

    table: pd.DataFrame
    workers: int

    def __str__(self) -> str:
        minutes = self.table["seconds"].sum() / 60 / self.workers
        rows = self.table.to_string(index=False, float_format="{:.0f}".format)
        return f"{rows}\nabout {minutes:.0f} min with {self.workers} workers, timed here and now"


def forecast_bench(
    tasks: Iterable[str | Task] | None,
    inits: Sequence[str] | None,
    *,
    out: str | Path,
    quick: bool,
    seeds: int | Iterable[int] | None,
    device: str,
    workers: int | None,
) -> BenchForecast:
    """Say what ``bench`` with the same arguments would do; train a few steps, write nothing.

    A chunk of ten runs from torch's default is timed for each task. Widened grids and the starts of
    initializers that must see data come on top.

    Raises:
        InitBenchError: what ``bench`` raises before it starts.
    """
    plan = planned(tasks, inits, out=out, quick=quick, seeds=seeds)
    rows = []
    for name, arms in plan.arms.items():
        start, step = _seconds(plan.tasks[name], plan.protocol, device)
        rates = len(plan.tasks[name].first_rates)
        tuned = plan.protocol.tuning_seeds * (rates + plan.protocol.kept)
        runs = len(arms) * (tuned + len(plan.protocol.seeds))
        steps = len(arms) * plan.protocol.trained_steps(plan.tasks[name].steps, rates)
        seconds = runs * start + steps * step
        rows.append([name, len(arms), runs, steps, seconds])
    table = pd.DataFrame(rows, columns=["task", "arms", "runs", "steps", "seconds"])
    return BenchForecast(table, workers or default_workers(devices_of(device)))


def _seconds(task: Task, protocol: Protocol, device: str) -> tuple[float, float]:
    """Return the seconds of a run's start and test, and of one step."""
    whole = protocol.steps(task.steps)[2]

    def timed(steps: int) -> float:
        grid = task.grid("torch.default", task.first_rates[0], seed=range(CELLS), steps=steps)
        with tempfile.TemporaryDirectory(prefix="init_bench-") as folder:
            found = forecast(grid, folder, device=device, executor="serial")
        return found.seconds / CELLS

    start = timed(1)
    return start, max(0.0, timed(whole) - start) / max(1, whole - 1)
