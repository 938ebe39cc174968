"""Prepare tables that a reader sorts, filters and downloads."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.numbers import shown

MOST_ROWS = 3000
"""Rows of a table on a page; of more, the first."""


def table_section(
    table: pd.DataFrame, *, title: str, lead: str = "", words: Mapping[str, str] = {}
) -> Section:
    """Return a table with a row per row of ``table``.

    Args:
        table: what to show; numbers are sorted as numbers.
        title, lead: of the section.
        words: heading of a column, where it is not the column's name.
    """
    kept = table.head(MOST_ROWS)
    rows = kept.astype(object).to_numpy().tolist()
    numeric = [pd.api.types.is_numeric_dtype(kept[name]) for name in kept]
    left_out = len(table) - len(kept)
    note = f"The first {len(kept)} of {len(table)} rows." if left_out else ""
    return Section(
        kind="table",
        title=title,
        lead=f"{lead} {note}".strip(),
        content={
            "columns": [
                {"name": words.get(str(name), str(name).replace("_", " ")), "number": number}
                for name, number in zip(kept, numeric, strict=True)
            ],
            "rows": [[_cell(value) for value in row] for row in rows],
        },
    )


def _cell(value: Any) -> tuple[str, str]:
    """Return what a cell shows, and its full value for sorting and the CSV file."""
    return shown(value), "" if shown(value) == "" else str(value)


def list_section(items: Sequence[tuple[str, str, str]], *, title: str, lead: str = "") -> Section:
    """Return a list of findings: severity (``bad``, ``watch``, ``ok``), head and text of each."""
    entries = [{"severity": severity, "head": head, "text": text} for severity, head, text in items]
    return Section(kind="list", title=title, lead=lead, content={"findings": entries})
