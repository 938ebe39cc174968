"""Write the page beside a paper's results: verdicts, what was read, command, machine."""

import os
import platform
from collections.abc import Sequence

import pandas as pd

from init_bench.figures.claim_list import number_of
from init_bench.reproduction.papers.experiment import QUICK_NOTE, Experiment
from init_bench.reproduction.papers.menu import PAPERS
from init_bench.reproduction.papers.result import Paper
from init_bench.training.manifest import versions


def readme_of(result: Paper, experiment: Experiment, seeds: Sequence[int]) -> str:
    """Return the README of a paper's folder."""
    left_out = f"Not rechecked: {experiment.not_checked}" if experiment.not_checked else ""
    warning = f"**{QUICK_NOTE}**" if result.quick else ""
    pictures = [f"![{path.stem}](figures/{path.name})" for path in result.figures]
    parts = [
        f"# {result.name}",
        f"{PAPERS[result.name]}.",
        warning,
        f"**{result.summary}** Intervals: 95 %, Student's t over seeds. {experiment.setting}",
        f"Read of the paper: {experiment.read}",
        left_out,
        claim_table(result.claims),
        *pictures,
        "`measured.csv` and `measured.parquet` hold every measured value, a row per seed; "
        "`expected.*` what theory says at the same `quantity`, `series` and `x`; `claims.*` the "
        "table above.",
        _origin(result, seeds),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def claim_table(claims: pd.DataFrame) -> str:
    """Return the claims as a table in Markdown: verdict, statement, numbers."""
    names = "| verdict | statement | quantity | value [95 %] | threshold | note |"
    rows = [
        f"| {row['verdict'].upper()} | {row['statement']} | {row['quantity']} | {number_of(row)} | "
        f"{row['threshold']} | {row['note']} |"
        for row in claims.to_dict("records")
    ]
    return "\n".join([names, "|" + "---|" * 6, *(row.replace("‖", "\\|\\|") for row in rows)])


def _origin(result: Paper, seeds: Sequence[int]) -> str:
    """Return command, seeds, time, versions and machine as a table."""
    shown = [f"{name} {number}" for name, number in versions().items() if name != "pyarrow"]
    rows = {
        "command": f"`init-bench paper {result.name}{' --quick' if result.quick else ''}`",
        "seeds": f"{len(seeds)}: {', '.join(map(str, seeds))}",
        "time": f"{result.seconds:.0f} s, {result.processor_seconds:.0f} s on the processor, "
        "one thread",
        "versions": ", ".join(shown),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())])
