"""Put an audit or a difference into words: the answer, the rows behind it, and what to do."""

from collections.abc import Sequence

import pandas as pd

from init_bench.diagnosis.phrases import listed

FINDINGS = {
    "non-finite": ("not finite", "load an earlier checkpoint, or draw them anew"),
    "never filled": (
        "never filled",
        "they hold no values, or memory that nothing wrote: load their keys, or draw them",
    ),
    "all zero": (
        "all zero",
        "meant at the end of a residual branch and for LoRA's B, else never filled: draw them",
    ),
    "all equal": ("all equal", "their units stay equal: draw them"),
    "fresh": (
        "still as initialized",
        "if they should have been loaded, look for their keys under other names in the file "
        "(ib.diff(file, model) lists both); a new head is meant to be fresh",
    ),
    "copy": ("a copy of another", "check that they should start equal, or draw one of them"),
}
"""What each state that is worth a line means, and what to do; the worst first."""


MOST_NAMES = 8
"""Names that a sentence lists; the rest is counted."""


MOST_ROWS = 40
"""Rows that text and page show."""


CHANGES = {
    "replaced": "replaced by unrelated values",
    "changed": "changed",
    "reshaped": "of another shape",
    "removed": "only before",
    "added": "only after",
    "rounded": "equal but for their type",
}
"""What each kind of difference is called; equal ones are counted first."""


def answer(table: pd.DataFrame) -> str:
    """Return what the audit found, in a sentence per kind of finding."""
    states, number = table["state"], len(table)
    own = states[~states.isin(["tied", "not judged"])]
    if (own == "fresh").any() and own.isin(["fresh", "unsure"]).all():
        small = (own == "unsure").sum()
        few = f", {small} of them probably" if small else ""
        return f"All {number} parameters are as initialized{few}: nothing trained was loaded."
    said = [
        f"{_counted((states == state).sum(), number)} {words}: {_names_in(table, state)}."
        for state, (words, _) in FINDINGS.items()
        if (states == state).any()
    ]
    clean = f"None of {number} parameters is fresh, copied, constant, non-finite or never filled."
    return " ".join(said) or clean


def advice(table: pd.DataFrame) -> list[str]:
    """Return what to do about each kind of finding, a line each."""
    found = set(table["state"])
    return [f"  fix ({state}): {fix}" for state, (_, fix) in FINDINGS.items() if state in found]


def shown_findings(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are findings or ties, worst first, in the columns that explain them."""
    order = {state: rank for rank, state in enumerate([*FINDINGS, "unsure", "tied"])}
    rows = table[table["state"].isin(order)]
    rows = rows.sort_values("state", key=lambda states: states.map(order), kind="stable")
    return pd.DataFrame(
        {
            "parameter": rows["parameter"],
            "state": rows["state"],
            "shape": [" × ".join(map(str, shape)) or "scalar" for shape in rows["shape"]],
            "std": rows["std"].map("{:.4g}".format),
            "looks_like": rows["looks_like"],
            "chance of an accidental match": rows["chance"].map(_percent),
            "same as": rows["tied_to"].where(rows["tied_to"] != "", rows["copy_of"]),
        }
    )


def change_answer(table: pd.DataFrame) -> str:
    """Return what changed, in a sentence."""
    states, number = table["state"], len(table)
    equal = int((states == "equal").sum())
    if equal == number:
        return f"All {number} parameters have equal bits."
    said = [
        f"{(states == state).sum()} {words} ({_names_in(table, state)})"
        for state, words in CHANGES.items()
        if (states == state).any()
    ]
    have = "has" if equal == 1 else "have"
    return f"{equal} of {number} parameters {have} equal bits; {'; '.join(said)}." + _hint(table)


def shown_changes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are not equal, in the columns that explain them."""
    rows = table[table["state"] != "equal"]
    return pd.DataFrame(
        {
            "parameter": rows["parameter"],
            "state": rows["state"],
            "relative change": rows["relative_change"].map(_number),
            "norm before": rows["norm_before"].map(_number),
            "norm after": rows["norm_after"].map(_number),
            "correlation": rows["correlation"].map("{:.4f}".format).replace("nan", ""),
            "rank of change": rows["rank"].map(_number),
        }
    )


def text(lines: Sequence[str], rows: pd.DataFrame, last: Sequence[str]) -> str:
    """Return the answer, its rows and what to do as text."""
    table = [rows.head(MOST_ROWS).to_string(index=False)] if len(rows) else []
    more = [f"… and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    return "\n".join([*lines, *table, *more, *last])


def _names_in(table: pd.DataFrame, state: str) -> str:
    """Return the names of the parameters in a state, for a sentence."""
    return listed(table.loc[table["state"] == state, "parameter"].tolist(), MOST_NAMES)


def _counted(part: int, number: int) -> str:
    return f"{part} of {number} parameters {'is' if part == 1 else 'are'}"


def _percent(chance: float) -> str:
    if pd.isna(chance):
        return ""
    return f"{100 * chance:.2g} %" if chance >= 1e-6 else "< 0.0001 %"


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4g}"


def _hint(table: pd.DataFrame) -> str:
    """Return a remark on the prefix that turns names of one side into the other's, if any."""
    removed, added = (
        table.loc[table["state"] == state, "parameter"].tolist() for state in ("removed", "added")
    )
    for short, long, side in ((removed, added, "before"), (added, removed, "after")):
        known = set(short)
        prefixes = {name.removesuffix(one) for one in short[:1] for name in long}
        for prefix in (p for p in prefixes if p.endswith(".")):
            same = sum(name.removeprefix(prefix) in known for name in long if prefix in name)
            return f" With the prefix {prefix!r} put before the names {side}, {same} more match."
    return ""
