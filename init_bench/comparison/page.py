"""Make the page of a comparison: the verdict on each pair, its curves and its numbers."""

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from init_bench.comparison.pair_verdicts import verdict_of
from init_bench.comparison.report import headlines, legend_of, measured_lines
from init_bench.figures.page import (
    Page,
    Section,
    curves_section,
    list_section,
    render,
    table_section,
)
from init_bench.training.cell import AXES
from init_bench.training.results import load
from init_bench.training.run_facts import command_of, facts_of
from init_bench.training.run_page import common_classes, ranking

TABLE = "comparison.parquet"
"""Name of the stored table."""


RUNS = "comparison_runs.parquet"
"""Name of the table of the runs that belong to it: the folder may hold others."""


SHOWN = (
    *("pair", "question", "setting", "quantity", "value", "ci_low", "ci_high", "p_holm", "n"),
    *("verdict", "note"),
)


def report(
    table: pd.DataFrame,
    verdicts: Mapping[str, str],
    curves: pd.DataFrame,
    cells: pd.DataFrame,
    manifest: Mapping[str, Any],
) -> str:
    """Return the page as HTML.

    Args:
        table: a row per pair and measured number.
        verdicts: the verdict on each pair.
        curves: loss per step of the runs; may be empty.
        cells: a row per run, as ``Results.cells``; may be empty.
        manifest: of the run; empty where nothing was stored.
    """
    pairs = list(verdicts)
    lines = dict(zip(pairs, headlines(dict(verdicts)), strict=True))
    measured = {pair: _measured(table, pair) for pair in pairs}
    items = [(_severity(verdicts[p]), lines[p], "\n".join(measured[p])) for p in pairs]
    lead = " ".join(legend_of(*itertools.chain.from_iterable(measured.values())))
    sections = [list_section(items, title="Verdicts", lead=lead)]
    if len(curves) and len(cells):
        sections.append(_curves(curves, cells))
    return render(
        Page(
            title=f"Compared: {pairs[0] if len(pairs) == 1 else f'{len(pairs)} pairs'}",
            answer=_answer(verdicts, lines),
            sections=[*sections, _numbers(table)],
            facts=facts_of(cells, manifest),
            command=command_of(manifest.get("command", [])),
        )
    )


def report_of_folder(folder: Path) -> str:
    """Return the page of what an earlier ``compare`` stored in ``folder``.

    Raises:
        InitBenchError: a file of the run is damaged.
    """
    table = pd.read_parquet(folder / TABLE)
    pairs = table["pair"].unique().tolist()
    verdicts = {pair: verdict_of(table[table["pair"] == pair]) for pair in pairs}
    run = load(folder)
    keys = _keys(folder, table, run.cells)
    curves = run.curves[run.curves["key"].isin(keys)]
    return report(table, verdicts, curves, run.cells[run.cells["key"].isin(keys)], run.manifest)


def trained_in(folder: Path) -> dict[str, str]:
    """Return what the comparison stored in ``folder`` trained, as ``trained_by``; empty if none."""
    path = folder / TABLE
    return trained_by(pd.read_parquet(path)) if path.is_file() else {}


def trained_by(table: pd.DataFrame) -> dict[str, str]:
    """Return the network, steps and seeds of each pair, in words."""
    rows = table[table["question"] == "training"]
    return dict(zip(rows["pair"], rows["setting"], strict=True))


def _keys(folder: Path, table: pd.DataFrame, cells: pd.DataFrame) -> set[str]:
    """Return the keys of the comparison's cells; an older folder names its initializers alone."""
    if (folder / RUNS).is_file():
        return set(pd.read_parquet(folder / RUNS)["key"])
    return set(cells.loc[cells["init"].isin({*table["a"], *table["b"]}), "key"])


def runs_of(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the keys of the runs that the curves are of."""
    return pd.DataFrame({"key": [] if curves.empty else curves["key"].unique()}, dtype="str")


def cells_of(curves: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return a row per run: its axes, status and final loss."""
    if curves.empty or outcomes.empty:
        return pd.DataFrame()
    axes = curves[["key", *AXES]].drop_duplicates()
    ends = outcomes[["init", "seed", "status", "final_loss"]]
    return axes.merge(ends, on=["init", "seed"]).assign(test_accuracy=math.nan)


def _curves(curves: pd.DataFrame, cells: pd.DataFrame) -> Section:
    by_step = curves.groupby(["init", "step"])["loss"]
    mean = by_step.agg(loss="mean", loss_sd="std", cells="size").reset_index()
    runs = ranking(cells, ["init"])
    return curves_section(mean, runs, ["init"], classes=common_classes(cells))


def _numbers(table: pd.DataFrame) -> Section:
    shown = table[list(SHOWN)]
    texts = shown.select_dtypes(exclude="number").astype(str).to_numpy().ravel()
    lead = " ".join(legend_of(*SHOWN, *texts, "shape"))  # settings are shapes without the word
    words = {name: name for name in SHOWN}  # as the legend has them
    return table_section(shown, title="All numbers", lead=lead, words=words)


def _measured(table: pd.DataFrame, pair: str) -> list[str]:
    """Return what was measured of a pair, each line with its question and a colon."""
    lines = measured_lines(table[table["pair"] == pair])
    return [re.sub(r"^(\w+) {2,}", r"\1: ", line) for line in lines]


def _severity(verdict: str) -> str:
    """Return the mark of a verdict: a difference is no fault."""
    if verdict.startswith("the same"):
        return "ok"
    return "differs" if verdict.startswith("differs") else "watch"


def _answer(verdicts: Mapping[str, str], lines: Mapping[str, str]) -> str:
    """Return the verdict on one pair, or how many of several differ and which."""
    if len(lines) == 1:
        return f"{next(iter(lines.values()))}."
    differing = [line for pair, line in lines.items() if verdicts[pair].startswith("differs")]
    same = sum(verdict.startswith("the same") for verdict in verdicts.values())
    named = f" First: {differing[0]}." if differing else ""
    differ, are = ("differs" if len(differing) == 1 else "differ", "is" if same == 1 else "are")
    return f"{len(differing)} of {len(lines)} pairs {differ}, {same} {are} the same.{named}"
