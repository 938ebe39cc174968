"""Write the tables of ``results/bench`` into the pages that speak of them."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "bench"
PAGES = {
    ROOT / "README.md": "summary",
    ROOT / "README.ko.md": "summary",
    ROOT / "docs" / "recent-initialisers.md": "recent-initialisers",
}
"""The table that a page holds, between comments ``bench:NAME`` and ``end of bench:NAME``."""

RECENT = ("sinusoidal", "tanh_init", "idinit", "looks_linear")
MOST = 3
"""Initialisers that a cell of the summary names; the rest is counted."""


def summary() -> str:
    """Return what to use and what to avoid on each network, a row per task."""
    table = pd.read_csv(RESULTS / "summary.csv", keep_default_na=False)
    rows = [
        f"| {row['architecture']} | {_names(row['use'])} | {row['loss']} | "
        f"{_names(row['avoid'])} | {row['worse_by']} | {row['runs']} |"
        for row in table.to_dict("records")
    ]
    head = "| network | use | its loss [95 %] | avoid | least bad is worse by [95 %] | runs |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def recent_initialisers() -> str:
    """Return how initialisers of recent papers did, a row per task and initialiser."""
    arms = pd.read_csv(RESULTS / "recent" / "arms.csv")
    losses = arms[arms["outcome"] == "final_loss"]
    best = losses.loc[losses.groupby("task")["value"].idxmin()].set_index("task")
    rows = [
        f"| {row['init']} | {row['task']} | {row['value']:.3f} [{row['ci_low']:.3f}, "
        f"{row['ci_high']:.3f}] | {best.loc[row['task'], 'init']}: "
        f"{best.loc[row['task'], 'value']:.3f} |"
        for row in losses[losses["init"].isin(RECENT)].to_dict("records")
    ]
    head = (
        "| initialiser | task of `init-bench bench` | loss at its best rate [95 %] | best there |"
    )
    return "\n".join([head, "|---|---|---|---|", *rows])


def with_tables(page: Path) -> str:
    """Return the text of a page with its table from the results."""
    name = PAGES[page]
    table = {"summary": summary, "recent-initialisers": recent_initialisers}[name]()
    block = rf"(<!-- bench:{name} -->\n).*?(<!-- end of bench:{name} -->)"
    text, found = re.subn(
        block, lambda m: f"{m[1]}{table}\n{m[2]}", page.read_text("utf-8"), flags=re.DOTALL
    )
    if not found:
        raise ValueError(f"{page} has no block bench:{name}")
    return text


def _names(text: str) -> str:
    """Return the first names of a list, and how many more there are."""
    names = [f"`{name}`" for name in text.split(", ") if name]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
