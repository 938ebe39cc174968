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
        time = duration_text(self.table["seconds"].sum() / self.workers)
        rows = self.table.to_string(index=False, float_format="{:.0f}".format)
        workers = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        return f"{rows}\nabout {time} with {workers}, timed here and now"


def forecast_bench(plan: Plan, device: str, workers: int | None) -> BenchForecast:
    """Say what ``bench`` would do by this plan; train a few steps, write nothing.

    For each task it times a few steps from torch's default: of a chunk of ten networks if the task
    is a plain MLP, else of one network. Widened grids, the starts of initializers that must see
    data, and the seeds that ``"auto"`` adds come on top.
    """
    rows = []
    with progress_bar(len(plan.arms), "timing tasks", "task") as done:
        for name, arms in plan.arms.items():
            start, step = _seconds(plan.tasks[name], plan.protocol, device)
            rates = len(plan.tasks[name].first_rates)
            tuned = plan.protocol.tuning_seeds * (rates + plan.protocol.kept)
            runs = len(arms) * (tuned + len(plan.protocol.seeds))
            steps = len(arms) * plan.protocol.trained_steps(plan.tasks[name].steps, rates)
            rows.append([name, len(arms), runs, steps, runs * start + steps * step])
            done(1)
    table = pd.DataFrame(rows, columns=["task", "arms", "runs", "steps", "seconds"])
    return BenchForecast(table, workers or default_workers(devices_of(device)))


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
