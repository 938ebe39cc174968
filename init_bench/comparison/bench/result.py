"""Hold the result of a benchmark: tables, figures, README."""

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.comparison.bench.answers import answer_of, seed_counts
from init_bench.comparison.bench.outcomes import order
from init_bench.comparison.bench.page import report_of_folder
from init_bench.comparison.bench.protocol import Protocol
from init_bench.comparison.bench.readme import QUICK_NOTE, readme_of
from init_bench.comparison.bench.tasks import Task
from init_bench.errors import lookup
from init_bench.figures.export import images_of
from init_bench.files import README, json_records, make_folder, write_atomic, write_files
from init_bench.statistics.ranks import Ranking
from init_bench.words import counted

TABLES = ("summary", "arms", "pairs", "runs", "tuning")


CURVES_SHOWN = 3
"""Arms from the top, and from the bottom, of a task whose curves are drawn."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The result of ``bench``; printed, it says for each architecture what to use and to avoid.

    Attributes:
        summary: a row per task: ``architecture``, ``task``, ``use``, ``verdict`` (``best alone`` or
            ``no difference``), ``loss``, ``avoid``, ``loss_of_avoided``, ``worse_by``, ``arms``,
            ``runs``, ``seeds`` (of an arm).
        arms: a row per task, arm and outcome: ``task``, ``init``, ``lr``, ``outcome``, ``value``,
            ``ci_low``, ``ci_high``, ``n``.
        pairs: a row per task and pair of arms: ``a``, ``b``, ``difference``, its interval,
            ``effect``, ``p``, ``p_holm``, ``n``, ``verdict``.
        runs: a row per final run and its outcomes.
        tuning: a row per run on which a rate was chosen.
        curves: ``task``, ``init``, ``seed``, ``step``, ``loss`` of the final runs.
        ranking: of the arms that all tasks have, over tasks; ``None`` where fewer than two are.
        tasks: by name.
        chances: loss of a constant output, by task.
        protocol: of all arms.
        folder: where everything is stored.
        failures: files about runs that failed.
    """

    summary: pd.DataFrame
    arms: pd.DataFrame
    pairs: pd.DataFrame
    runs: pd.DataFrame
    tuning: pd.DataFrame
    curves: pd.DataFrame
    ranking: Ranking | None
    tasks: dict[str, Task]
    chances: dict[str, float]
    protocol: Protocol
    folder: Path
    failures: tuple[Path, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """``summary``."""
        return self.summary

    def figure(self, task: str | None = None) -> Figure:
        """Draw the outcomes of one task, or the ranks over all where there are any.

        Raises:
            InitBenchError: the task is none of this benchmark.
        """
        if task is None and self.ranking is not None:
            return self._ranks(self.ranking)
        task = task or next(iter(self.tasks))
        lookup(self.tasks, task, kind="task")
        runs = self.runs[self.runs["task"] == task]
        pairs = self.pairs[self.pairs["task"] == task]
        names = order(list(runs["init"].unique()), runs)
        shown = [*names[:CURVES_SHOWN], *names[CURVES_SHOWN:][-CURVES_SHOWN:]]
        return figures.bench_task(
            self.arms[self.arms["task"] == task],
            self.curves[self.curves["task"] == task],
            order=names,
            use=answer_of(runs, pairs, self.chances[task]).use,
            shown=shown,
            chance=self.chances[task],
            caption=f"{self.tasks[task].architecture}: {seed_counts(runs)} seeds of each arm.",
        )

    def to_json(self) -> str:
        """Return the summary as JSON records."""
        return json.dumps(json_records(self.summary), ensure_ascii=False)

    def save(self, folder: str | Path | None = None) -> list[Path]:
        """Write tables (Parquet and CSV), figures, README and the page ``report.html``.

        Returns:
            The paths.

        Raises:
            InitBenchError: the folder cannot be made or written.
        """
        target = Path(folder or self.folder)
        make_folder(target)
        paths = []
        for name in TABLES:
            table: pd.DataFrame = getattr(self, name)
            paths += [target / f"{name}.parquet", target / f"{name}.csv"]
            write_atomic(paths[-2], table.to_parquet)
            write_atomic(paths[-1], functools.partial(table.to_csv, index=False))
        images = [images_of(self.figure(task), task) for task in self.tasks]
        if self.ranking is not None:
            images.append(images_of(self._ranks(self.ranking), "ranks"))
        for files in images:
            paths += write_files(target / "figures", files)
        text = readme_of(self.tasks, self.summary, self.arms, self.ranking, self.protocol)
        paths += write_files(target, {README: text.encode()})
        return [*paths, *write_files(target, {"report.html": report_of_folder(target).encode()})]

    def report(self) -> str:
        """Return the page of the benchmark as HTML: one file that needs no network."""
        return report_of_folder(self.folder)

    def __str__(self) -> str:
        lines = [
            f"{row['architecture']} ({row['runs']} runs, {row['seeds']} seeds): use {row['use']}; "
            f"loss {row['loss']}" + (f"; avoid {row['avoid']}" if row["avoid"] else "")
            for row in self.summary.to_dict("records")
        ]
        note = [QUICK_NOTE] if self.protocol.is_quick else []
        return "\n".join([*lines, *note, f"Tables and figures: {self.folder}"])

    def _ranks(self, found: Ranking) -> Figure:
        tested = "" if math.isnan(found.p) else f" Friedman's test: p = {found.p:.2g}."
        return figures.rank_diagram(
            found.mean_ranks,
            critical_difference=found.critical_difference,
            caption=f"Mean rank over {counted(found.tasks, 'task')} of the arms that all of them "
            f"have; 1 is best.{tested}",
        )
