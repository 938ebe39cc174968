"""Prepare tables that a reader sorts, filters and downloads."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from init_bench.figures.page.document import Image, Section
from init_bench.figures.page.numbers import shown

MOST_ROWS = 3000
"""Rows of a table on a page; of more, the first."""


class Interval(NamedTuple):
    """Hold a value of a table with its interval; it is sorted, and downloaded, as the value."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return ""
        known = math.isfinite(self.low) and math.isfinite(self.high)
        return f"{self.value:.3g}" + f" [{self.low:.3g}, {self.high:.3g}]" * known


def table_section(
    table: pd.DataFrame,
    *,
    title: str,
    lead: str = "",
    words: Mapping[str, str] = {},
    images: Sequence[Image] = (),
) -> Section:
    """Return a table with a row per row of ``table``.

    Args:
        table: what to show; numbers and ``Interval`` are sorted as numbers.
        title, lead: of the section.
        words: heading of a column, where it is not the column's name.
        images: pictures below it.
    """
    kept = table.head(MOST_ROWS)
    rows = kept.astype(object).to_numpy().tolist()
    numeric = [_is_number(kept[name]) for name in kept]
    left_out = len(table) - len(kept)
    note = f"The first {len(kept)} of {len(table)} rows." if left_out else ""
    return Section(
        kind="table",
        title=title,
        lead=f"{lead} {note}".strip(),
        content={
            "columns": [
                {"name": words.get(str(name), str(name)), "number": number}
                for name, number in zip(kept, numeric, strict=True)
            ],
            "rows": [[_cell(value) for value in row] for row in rows],
        },
        images=images,
    )


def _is_number(column: "pd.Series[Any]") -> bool:
    measured = len(column) > 0 and column.map(lambda value: isinstance(value, Interval)).all()
    return bool(measured) or pd.api.types.is_numeric_dtype(column)


def _cell(value: Any) -> tuple[str, str]:
    """Return what a cell shows, and its full value for sorting and the CSV file."""
    if isinstance(value, Interval):
        return str(value), shown(value.value) and str(value.value)
    return shown(value), "" if shown(value) == "" else str(value)


def list_section(items: Sequence[tuple[str, str, str]], *, title: str, lead: str = "") -> Section:
    """Return a list of findings: severity, head and text of each.

    Severities ``bad``, ``watch`` and ``ok`` have a mark of their own, all others a neutral one.
    """
    entries = [{"severity": severity, "head": head, "text": text} for severity, head, text in items]
    return Section(kind="list", title=title, lead=lead, content={"findings": entries})
