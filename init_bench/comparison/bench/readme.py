"""Write the README of a benchmark: how it was made, its answers, its numbers."""

import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from init_bench.comparison.bench.arm_choice import menu_arms
from init_bench.comparison.bench.protocol import Protocol
from init_bench.comparison.bench.tasks import Task
from init_bench.init import parse
from init_bench.statistics.ranks import Ranking
from init_bench.training.manifest import versions
from init_bench.words import counted

OUTCOMES = {
    "final_loss": "loss at the end",
    "area": "mean loss",
    "steps_to_target": "steps to target",
    "test_accuracy": "test accuracy",
    "window_decades": "rates that train (decades)",
    "diverged": "diverged",
    "seconds": "seconds",
}
"""Columns of a task's table."""


CAPPED = (
    "The loss at the end and the mean loss count at most chance's, that of a constant output; a "
    "run that diverged counts with it. Curves in the figures are as trained and may lie above."
)
"""What to know where a table stands beside curves."""


QUICK_NOTE = (
    "A quick look: short runs from few seeds. Small differences stay hidden, and longer runs may "
    "order the initializers otherwise."
)


def readme_of(
    tasks: Mapping[str, Task],
    summary: pd.DataFrame,
    arms: pd.DataFrame,
    ranking: Ranking | None,
    protocol: Protocol,
) -> str:
    """Return the README as Markdown."""
    parts = ["# Results of `init-bench bench`", _head(protocol, arms)]
    parts += [_left_out(arms), "## What to use, what to avoid", _answers(summary), _reading()]
    if ranking is not None:
        parts.append(_ranks(ranking))
    for name, task in tasks.items():
        parts.append(f"## {name}: {task.architecture}")
        parts += [_setting(task, protocol), _arms(arms[arms["task"] == name])]
        parts.append(f"![{name}](figures/{name}.png)")
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(protocol: Protocol, arms: pd.DataFrame) -> str:
    """Return command, commit, machine and seeds."""
    timed = arms[arms["outcome"] == "seconds"]
    seconds = timed["value"] * timed["n"]
    found = versions()
    quick = {"protocol": QUICK_NOTE} if protocol.is_quick else {}
    rows = quick | {
        "command": f"`{_command()}`",
        "commit": commit(),
        "versions": f"Python {found['python']}, torch {found['torch']}, numpy {found['numpy']}",
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "seeds": f"final runs {_final_seeds(protocol, arms)}; tuning "
        f"{_span(protocol.seeds_of_tuning)}",
        "time": f"{seconds.sum() / 60:.0f} min of the final runs, added up",
    }
    return _markdown(["", ""], rows.items())


def _left_out(arms: pd.DataFrame) -> str:
    """Return which rules of the menu no task was trained from."""
    trained = {parse(name).name for name in arms["init"].unique()}
    missing = [name for name in menu_arms() if name not in trained]
    return f"Rules of the menu not trained here: {', '.join(missing)}." if missing else ""


def _answers(summary: pd.DataFrame) -> str:
    names = {
        "architecture": "architecture",
        "use": "use",
        "verdict": "verdict",
        "loss": "loss of the first in *use* [95 %]",
        "avoid": "avoid",
        "loss_of_avoided": "losses of *avoid*",
        "worse_by": "smallest gap of *avoid*",
        "runs": "runs",
    }
    rows = summary[list(names)].astype(str).to_numpy().tolist()
    return _markdown(list(names.values()), rows)


def _reading() -> str:
    return (
        "*Use*: the arm with the lowest mean loss at the end, and all that no test sets apart from "
        "it (paired t over seeds, Holm over all pairs of the task and all looks where seeds "
        "were added, 5 %; differences below 2 % count as none). *Avoid*: shown to be worse than "
        "the best, and by the mean a tenth of chance's loss behind it or more, the worst first. "
        "*Smallest gap of avoid*: the best of those to avoid against the best, with an interval "
        "that holds for all pairs. Each arm runs at its own best rate. "
        f"{CAPPED} Protocol and definitions: `docs/bench.md`. `runs.csv` holds "
        "every final run, `tuning.csv` every run that a rate was chosen on, `pairs.csv` every "
        "test, `arms.csv` every outcome."
    )


def _ranks(ranking: Ranking) -> str:
    listed = ", ".join(f"{name} {rank:.1f}" for name, rank in ranking.mean_ranks.items())
    tested = (
        f" Friedman's test that all are alike: p = {ranking.p:.2g}. Ranks at most "
        f"{ranking.critical_difference:.2f} apart do not differ (Nemenyi)."
    ) * (not math.isnan(ranking.p))
    return (
        f"## Over {counted(ranking.tasks, 'task')}\n\n"
        f"Mean ranks of the arms that all tasks have: {listed}.{tested}\n\n"
        f"![mean ranks](figures/ranks.png)"
    )


def _setting(task: Task, protocol: Protocol) -> str:
    axes = ", ".join(f"{key} {value}" for key, value in task.axes.items())
    first, second, whole = protocol.steps(task.steps)
    rates = task.first_rates
    return (
        f"{axes or 'defaults of a grid'}; {whole} steps (tuning {first} and {second}); "
        f"{len(rates)} rates from {rates[0]:g} to {rates[-1]:g}."
    )


def _arms(arms: pd.DataFrame) -> str:
    """Return the table of one task's arms, the lowest loss first."""
    losses = arms[arms["outcome"] == "final_loss"].sort_values(["value", "init"])
    rows = []
    for init, lr in zip(losses["init"], losses["lr"], strict=True):
        own = arms[arms["init"] == init].set_index("outcome")
        cells = [_number(own.loc[name]) for name in OUTCOMES]
        rows.append([f"`{init}`", f"{lr:g}", *cells])
    return _markdown(["init", "rate", *OUTCOMES.values()], rows)


def _number(row: "pd.Series[float]") -> str:
    """Return a value with its interval."""
    return f"{row['value']:.3g} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]"


def _markdown(names: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _span(seeds: tuple[int, ...]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def _final_seeds(protocol: Protocol, arms: pd.DataFrame) -> str:
    """Return the seeds of the final runs; of those that ``"auto"`` offers, the ones taken."""
    first, *more = protocol.looks
    if not more:
        return _span(first)
    most = arms.loc[arms["outcome"] == "final_loss", "n"].max()
    added = [_span(seeds) for seeds in more if len(seeds) <= most]
    if not added:
        return f"{_span(first)} (auto: no task needed more)"
    return f"{_span(first)}; {' or '.join(added)} of arms that no test set apart from the best"


def _command() -> str:
    """Return what was called: the command line, or the function."""
    program = Path(sys.argv[0]).name
    own = program in ("init-bench", "__main__.py")
    return shlex.join(["init-bench", *sys.argv[1:]]) if own else "init_bench.bench(…)"


def commit() -> str:
    """Return the commit of the package's source tree, empty where it is none."""
    call = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
