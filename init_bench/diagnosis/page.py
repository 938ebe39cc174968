"""Make the page of a diagnosis: the answer, what to fix first, the figure, findings, weights."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from init_bench.diagnosis.judgment import named
from init_bench.figures.page import (
    Page,
    Section,
    layers_section,
    list_section,
    render,
    table_section,
)
from init_bench.statistics.number_formats import FORMATS
from init_bench.training.manifest import versions
from init_bench.training.run_facts import command_of
from init_bench.words import capitalized

WEIGHTS = (
    *("step", "parameter", "shape", "std", "recommended_std", "gain", "looks_like"),
    *("gradient_state", "update_ratio", "fault"),
)
"""Columns of the table of weights; those that are empty in every row are left out."""


LAYERS = (
    *("step", "layer", "module", "mean", "std", "sample_std", "dead", "saturated", "correlation"),
    *("gradient", "weight_gain"),
)


def report(
    tables: Mapping[str, pd.DataFrame],
    expected: pd.DataFrame | None,
    *,
    answer: str,
    size: str,
    notes: Sequence[str],
    svg: str,
) -> str:
    """Return the page as HTML.

    Args:
        tables: ``profile``, ``verdicts``, ``weights`` and ``histograms`` of a ``Diagnosis``.
        expected: what mean-field theory predicts.
        answer: what is wrong and what to fix first.
        size: the model's class, its layers and its loss.
        notes: what was not judged.
        svg: the figure, for readers without JavaScript.
    """
    profile, verdicts = tables["profile"], tables["verdicts"]
    several = profile["step"].nunique() > 1
    figure = layers_section(
        profile, verdicts, tables["histograms"], expected, formats=FORMATS, svg=svg
    )
    findings = list(_findings(verdicts, several=several))
    sections = [
        *_first(verdicts),
        figure,
        list_section(findings, title="Findings", lead="Those where a fault originates come first."),
        _table(tables["weights"], WEIGHTS, "Weights", several=several),
        _table(profile, LAYERS, "Every layer", several=several),
    ]
    return render(
        Page(
            title=f"Initialization of {size.partition(':')[0]}",
            answer=answer,
            notes=[size, *map(capitalized, notes)],
            sections=sections,
            facts={"versions": ", ".join(f"{k} {v}" for k, v in versions().items())},
            command=command_of(sys.argv),
        )
    )


def _first(verdicts: pd.DataFrame) -> list[Section]:
    """Return what to fix first, where a fault originates."""
    origins = verdicts[(verdicts["severity"] == "bad") & (verdicts["cause"] == "")]
    if origins.empty:
        return []
    row = origins.iloc[0]
    head = f"{capitalized(named(row['layer']))}: {row['meaning']}"
    return [list_section([("bad", head, capitalized(row["advice"]))], title="Fix this first")]


def _findings(verdicts: pd.DataFrame, *, several: bool) -> Iterator[tuple[str, str, str]]:
    """Yield severity, head and text of each finding."""
    for row in verdicts.to_dict("records"):
        step = f"Step {row['step']}, " if several else ""
        if row["severity"] == "ok":
            yield "ok", capitalized(f"{step}{row['meaning']}"), capitalized(row["quantity"])
            continue
        head = f"{step}{named(row['layer'])}: {row['verdict']}"
        yield row["severity"], capitalized(head), _text(row)


def _text(row: Mapping[Any, Any]) -> str:
    """Return value, limit, definition and remedy of a finding."""
    side = "above" if row["value"] > row["threshold"] else "below"
    value = f"{row['value']:.3g}, {side} the limit {row['threshold']:.3g}"
    if row["recommended"] > 0:
        value += f" (recommended {row['recommended']:.3g})"
    meaning, advice = capitalized(row["meaning"]), capitalized(row["advice"])
    return f"{meaning}. {value}; value: {row['quantity']}. {advice}"


def _table(table: pd.DataFrame, columns: Sequence[str], title: str, *, several: bool) -> Section:
    """Return those of the columns that are not empty, the step where there are several."""
    names = [name for name in columns if name in table and _has_values(table[name])]
    kept = [name for name in names if several or name != "step"]
    shown = table[kept]
    if "shape" in shown:
        shown = shown.assign(shape=shown["shape"].map(lambda shape: "×".join(map(str, shape))))
    return table_section(shown, title=title)


def _has_values(column: pd.Series) -> bool:
    return bool((column.notna() & (column != "")).any())
