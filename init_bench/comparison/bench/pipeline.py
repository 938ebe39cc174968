"""Run the benchmark: tasks × initializers under one protocol, resumable."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from init_bench import datasets
from init_bench.comparison.bench.answers import ranking_of, summary_of
from init_bench.comparison.bench.arm_choice import arms_of
from init_bench.comparison.bench.final_runs import final_runs
from init_bench.comparison.bench.outcomes import arm_outcomes, run_outcomes
from init_bench.comparison.bench.protocol import Protocol, Seeds, protocol_from
from init_bench.comparison.bench.result import Bench
from init_bench.comparison.bench.tasks import Task, chance_loss, tasks_from
from init_bench.comparison.bench.tuning import tune
from init_bench.errors import InitBenchError
from init_bench.files import check_writable
from init_bench.training.devices import resolve_device
from init_bench.training.folder_format import MANIFEST
from init_bench.training.grid import Grid
from init_bench.training.pipeline import run
from init_bench.training.results import Results

log = logging.getLogger(__name__)


RUNS = "runs"
"""Folder of the training runs inside the output."""


def bench(
    tasks: Iterable[str | Task] | None = None,
    inits: Sequence[str] | None = None,
    *,
    out: str | Path = "results/bench",
    quick: bool = False,
    seeds: Seeds = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = True,
) -> Bench:
    """Train every task from every initializer that is meant for it, and say which to use.

    For each arm the learning rate is chosen by successive halving on three tuning seeds: nine rates
    over four decades at a quarter of the steps, the best three at half; a grid whose best rate is
    at its end is widened. Then the arm is trained from ten fresh seeds, the same for all arms. The
    losses at the end are compared pair by pair (paired t, Holm over all pairs of a task), and the
    arms that all tasks have by Friedman's test and Nemenyi's critical difference.

    Args:
        tasks: names of ``TASKS``, TOML files that describe some, ``module:factory``, or ``Task``
            records; ``None`` is all of the menu.
        inits: specs; ``None`` is every initializer of the menu that is meant for the network,
            torch's default, and the default of the architecture where it has its own.
        out: folder for tables, figures and README; training runs go into ``out/runs``. The same
            call again trains only what is missing.
        quick: a first look in three minutes on two cores: a quarter of the steps, five seeds, two
            tuning seeds, no widening, ``QUICK_ARMS``.
        seeds: of the final runs, a count or the seeds themselves; 2 or more. ``"auto"`` adds some
            where they decide: twice, then four times as many for the best arm of a task and those
            that no test sets apart from it. Looking again costs no false differences
            (``init_bench.statistics.planned_looks``).
        device, workers, progress: as for ``run``.

    Raises:
        InitBenchError: an unknown task or initializer, a task without two fitting ones, fewer than
            three rates, fewer than two seeds, a model whose loss is no number at step 0, or a
            folder that cannot be written; all of it before any work.

    Example:
        >>> import tempfile
        >>> result = bench(["mlp"], ["he_normal", "zeros"], out=tempfile.mkdtemp(), quick=True,
        ...                seeds=2, device="cpu", workers=1, progress=False)
        >>> result.summary[["use", "verdict"]].to_dict("records")
        [{'use': 'he_normal', 'verdict': 'best alone'}]
    """
    plan = planned(tasks, inits, out=out, quick=quick, seeds=seeds)
    resolve_device(device)
    bench_run = _Run(plan, Path(out), device, workers, progress)
    for number, task in enumerate(plan.arms, start=1):
        started = time.monotonic()
        bench_run.do(task)
        if progress:
            minutes = (time.monotonic() - started) / 60
            log.info("%s: task %d of %d, %.1f min", task, number, len(plan.arms), minutes)
    return bench_run.result()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Hold what a benchmark will train: its tasks and their arms by name, and the protocol."""

    tasks: dict[str, Task]
    arms: dict[str, list[str]]
    protocol: Protocol


def planned(
    tasks: Iterable[str | Task] | None,
    inits: Sequence[str] | None,
    *,
    out: str | Path,
    quick: bool,
    seeds: Seeds,
) -> Plan:
    """Return what ``bench`` would train; all that can be refused is refused here."""
    if isinstance(inits, str):
        raise InitBenchError(f"inits={inits!r}: give a list of specs: [{inits!r}]")
    check_writable(Path(out))
    protocol = protocol_from(seeds, quick=quick)
    chosen = {task.name: task for task in tasks_from(tasks)}
    arms = {name: arms_of(task, inits, quick=quick) for name, task in chosen.items()}
    plan = Plan(tasks=chosen, arms=arms, protocol=protocol)
    _refuse_to_replace(Path(out), plan)
    return plan


def _refuse_to_replace(out: Path, plan: Plan) -> None:
    """Refuse a folder of a run, or whose tables hold tasks or runs that those of this plan lack."""
    if (out / MANIFEST).is_file():
        raise InitBenchError(
            f"{out} holds a run, whose page this benchmark would replace: give another folder with "
            "out, --out in the shell"
        )
    if not (out / "summary.parquet").is_file():
        return
    stored = pd.read_parquet(out / "summary.parquet")
    seeds = len(plan.protocol.looks[-1])
    planned_runs = {name: seeds * len(arms) for name, arms in plan.arms.items()}
    lost = list(stored.loc[stored["runs"] > stored["task"].map(planned_runs).fillna(0), "task"])
    if lost:
        raise InitBenchError(
            f"{out} holds a benchmark of more tasks or runs ({', '.join(lost)}), whose tables "
            f"this one would replace: give another folder with out, --out in the shell"
        )


@dataclass
class _Run:
    """Train the plan task by task and collect what was measured."""

    plan: Plan
    out: Path
    device: str
    workers: int | None
    progress: bool
    tables: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)
    failures: list[Path] = field(default_factory=list)

    def do(self, name: str) -> None:
        """Tune and train the arms of one task."""
        task, protocol = self.plan.tasks[name], self.plan.protocol
        chance = chance_loss(datasets.load(_dataset_of(task)))
        self.chances[name] = chance
        tuned = tune(task, self.plan.arms[name], protocol, self._train, chance)
        steps = protocol.steps(task.steps)[2]
        final: list[Results] = []

        def train(seeds: Mapping[str, tuple[int, ...]]) -> pd.DataFrame:
            grids = [task.grid(a, tuned.rates[a], seed=s, steps=steps) for a, s in seeds.items()]
            final.append(self._train(grids))
            return run_outcomes(task, final[-1], chance)

        runs, pairs = final_runs(task, tuned.rates, protocol, train)
        self._add("runs", runs)
        self._add("tuning", tuned.runs.assign(task=name))
        self._add("arms", arm_outcomes(task, runs, tuned, looks=len(protocol.looks)))
        self._add("pairs", pairs)
        self._add("curves", final[-1].curves[["init", "seed", "step", "loss"]].assign(task=name))

    def result(self) -> Bench:
        """Return the tables of all tasks, saved."""
        tables = {k: pd.concat(parts, ignore_index=True) for k, parts in self.tables.items()}
        runs, pairs, arms = (tables[name] for name in ("runs", "pairs", "arms"))
        found = Bench(
            summary=summary_of(self.plan.tasks, runs, pairs, arms, self.chances),
            ranking=ranking_of(runs),
            tasks=self.plan.tasks,
            chances=self.chances,
            protocol=self.plan.protocol,
            folder=self.out,
            failures=tuple(dict.fromkeys(self.failures)),
            **tables,
        )
        found.save()
        return found

    def _train(self, grids: Sequence[Grid]) -> Results:
        results = run(
            grids,
            self.out / RUNS,
            device=self.device,
            workers=self.workers,
            progress=self.progress,
        )
        self.failures += results.failures
        return results

    def _add(self, name: str, table: pd.DataFrame) -> None:
        self.tables.setdefault(name, []).append(table)


def _dataset_of(task: Task) -> str:
    return task.grid("torch.default", task.first_rates[0]).dataset[0]
