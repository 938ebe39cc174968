"""Forecast a benchmark: what it trains, and about how long that takes."""

from dataclasses import dataclass

import pandas as pd

from init_bench.comparison.bench.pipeline import Plan
from init_bench.comparison.bench.protocol import Protocol
from init_bench.comparison.bench.tasks import Task
from init_bench.init.progress_bar import progress_bar
from init_bench.training.chunk_timing import time_start_and_step
from init_bench.training.chunks import CHUNK_CELLS
from init_bench.training.devices import devices_of
from init_bench.training.dispatch import default_workers, trainer_for
from init_bench.training.forecast import duration_text
from init_bench.words import counted

MOST_COLUMNS = ("most_runs", "most_seconds")


@dataclass(frozen=True)
class BenchForecast:
    """Hold what a benchmark would train; nothing stored is subtracted.

    Attributes:
        table: a row per task: ``task``, ``arms``, ``runs``, ``steps`` (of all runs), ``seconds``;
            with seeds that are added, those of the first look. ``most_runs`` and ``most_seconds``
            are what it takes if every arm gets all seeds.
        workers: chunks trained at the same time.
        looks: numbers of seeds, one unless seeds are added.
    """

    table: pd.DataFrame
    workers: int
    looks: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = self.table if self.adds_seeds else self.table.drop(columns=list(MOST_COLUMNS))
        rows = shown.to_string(index=False, float_format="{:.0f}".format)
        sums = self.table[["seconds", "most_seconds"]].sum() / self.workers
        times = " to ".join(dict.fromkeys(map(duration_text, sums)))
        time = f"about {times} with {counted(self.workers, 'worker')}, timed here and now"
        if not self.adds_seeds:
            return f"{rows}\n{time}"
        first, *more = self.looks
        least, most = self.table["runs"].sum(), self.table["most_runs"].sum()
        return (
            f"{rows}\nauto: {first} seeds of every initializer; then "
            f"{' and '.join(map(str, more))} of the best of a task and those that no test sets "
            f"apart from it.\n{least} to {most} runs, {time}"
        )

    @property
    def adds_seeds(self) -> bool:
        """Whether there is more than one number of seeds."""
        return len(self.looks) > 1


def forecast_bench(plan: Plan, device: str, workers: int | None) -> BenchForecast:
    """Say what ``bench`` would do by this plan; train a few steps, write nothing.

    For each task it times a few steps from torch's default: of a chunk of ten networks if the task
    is a plain MLP, else of one network. Widened grids and the starts of initializers that must
    see data come on top.
    """
    rows = []
    with progress_bar(len(plan.arms), "timing tasks", "task") as done:
        for name, arms in plan.arms.items():
            start, step = _seconds(plan.tasks[name], plan.protocol, device)
            rates = len(plan.tasks[name].first_rates)
            tuned = plan.protocol.tuning_seeds * (rates + plan.protocol.kept)
            runs = len(arms) * (tuned + len(plan.protocol.seeds))
            steps = len(arms) * plan.protocol.trained_steps(plan.tasks[name].steps, rates)
            added = len(arms) * (len(plan.protocol.looks[-1]) - len(plan.protocol.seeds))
            whole = plan.protocol.steps(plan.tasks[name].steps)[2]
            seconds = runs * start + steps * step
            most = [runs + added, seconds + added * (start + whole * step)]
            rows.append([name, len(arms), runs, steps, seconds, *most])
            done(1)
    table = pd.DataFrame(rows, columns=["task", "arms", "runs", "steps", "seconds", *MOST_COLUMNS])
    looks = tuple(len(seeds) for seeds in plan.protocol.looks)
    return BenchForecast(table, workers or default_workers(devices_of(device)), looks)


def _seconds(task: Task, protocol: Protocol, device: str) -> tuple[float, float]:
    """Return the seconds of a run's start and test, and of one step."""
    steps, rate = protocol.steps(task.steps)[2], task.first_rates[0]
    cells = task.grid("torch.default", rate, seed=range(CHUNK_CELLS), steps=steps).cells
    chunk = cells if cells[0].is_plain_mlp else cells[:1]
    with trainer_for(
        chunk, device=device, executor="serial", workers=None, executor_options=None
    ) as trainer:
        start, step = time_start_and_step(chunk, trainer.train)
    return start / len(chunk), step / len(chunk)
