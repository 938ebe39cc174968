"""Write the tables of ``results/bench`` into the pages that speak of them."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "bench"
PAGES = {
    ROOT / "README.md": "summary",
    ROOT / "README.ko.md": "summary",
    ROOT / "docs" / "recent-initializers.md": "recent-initializers",
}
"""The table that a page holds, between comments ``bench:NAME`` and ``end of bench:NAME``."""

BY_HAND = 4
"""Columns of the recent initializers written by hand: name, claim, setting, what was read."""

MOST = 3
"""Initializers that a cell of the summary names; the rest is counted."""


def summary() -> str:
    """Return what to use and what to avoid on each network, a row per task."""
    table = pd.read_csv(RESULTS / "summary.csv", keep_default_na=False)
    rows = [
        f"| {row['architecture']} | {_names(row['use'])} | {row['loss']} | "
        f"{_names(row['avoid'])} | {row['worse_by']} | {row['runs']} |"
        for row in table.to_dict("records")
    ]
    head = (
        "| network | use | loss of the first in *use* [95 %] | avoid | "
        "smallest gap of *avoid* [95 %] | runs |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def recent_initializers(old: str) -> str:
    """Return the table of the page with what was measured in its last column."""
    head, rule, *rows = (line.strip("|").split("|")[:BY_HAND] for line in old.strip().split("\n"))
    measured = _measured()
    written = [
        [*head, " measured: task, steps: loss at its best rate [95 %] (the best there) "],
        [*rule, " --- "],
        *([*row, f" {measured.get(row[0].strip(' `'), 'not measured')} "] for row in rows),
    ]
    return "\n".join(f"|{'|'.join(cells)}|" for cells in written)


def _measured() -> dict[str, str]:
    """Return by initializer what it reached on each task, and who did best there."""
    steps = pd.read_csv(RESULTS / "runs.csv").groupby("task")["steps"].first()
    arms = pd.read_csv(RESULTS / "arms.csv")
    losses = arms[arms["outcome"] == "final_loss"]
    best = losses.loc[losses.groupby("task")["value"].idxmin()].set_index("task")
    found: dict[str, list[str]] = {}
    for row in losses.to_dict("records"):
        task = row["task"]
        found.setdefault(row["init"], []).append(
            f"{task}, {steps[task]} steps: {row['value']:.3f} "
            f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}] (`{best.loc[task, 'init']}`: "
            f"{best.loc[task, 'value']:.3f})"
        )
    return {init: "<br>".join(cells) for init, cells in found.items()}


def with_tables(page: Path) -> str:
    """Return the text of a page with its table from the results."""
    name = PAGES[page]
    block = rf"(<!-- bench:{name} -->\n)(.*?)(\n<!-- end of bench:{name} -->)"
    tables: dict[str, Callable[[str], str]] = {
        "summary": lambda old: summary(),
        "recent-initializers": recent_initializers,
    }
    text, found = re.subn(
        block,
        lambda m: f"{m[1]}{tables[name](m[2])}{m[3]}",
        page.read_text("utf-8"),
        flags=re.DOTALL,
    )
    if not found:
        raise ValueError(f"{page} has no block bench:{name}")
    return text


def _names(text: str) -> str:
    """Return the first names of a list, and how many more there are."""
    names = [f"`{name}`" for name in text.split(", ") if name]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
