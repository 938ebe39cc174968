"""Make the page of a benchmark: what to use, the outcomes of every arm, how it was made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from init_bench.comparison.bench.answers import ranking_of
from init_bench.comparison.bench.readme import CAPPED, OUTCOMES
from init_bench.figures.page import (
    Image,
    Interval,
    Page,
    Section,
    heat_map_section,
    list_section,
    render,
    table_section,
)
from init_bench.files import head_of_readme
from init_bench.words import capitalized, counted

TABLES = ("summary", "arms", "pairs", "runs")
"""Stored tables that the page is made of."""


SPELLED_OUT = 4
"""Of so many architectures the answer names what to use on each; of more, where one is alone."""


NAMED = 3
"""Initializers that an answer names; the rest is counted."""


HEAT_MAP = {
    "final_loss": "loss over the lowest of the task",
    "loss": "loss at the end",
    "test_accuracy": "test accuracy",
}
"""What the heat map shows, and its names; the ratio is what tasks share."""


def report_of_folder(folder: Path) -> str:
    """Return the page of what an earlier ``bench`` stored in ``folder`` as HTML."""
    summary, arms, pairs, runs = (pd.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    facts = head_of_readme(folder)
    quick = [facts.pop("protocol")] if "protocol" in facts else []
    page = Page(
        title=f"Initializers on {counted(len(summary), 'architecture')}",
        answer=_answer(summary),
        notes=[
            *quick,
            "Each initializer is trained at its own best learning rate; two are compared on the "
            "seeds that both have. “No difference” means that no test sets them apart, not that "
            "they are equal.",
            CAPPED,
        ],
        sections=list(_sections(folder, summary, arms, pairs, runs)),
        command=facts.pop("command", ""),
        facts=facts,
    )
    return render(page)


def _sections(
    folder: Path, summary: pd.DataFrame, arms: pd.DataFrame, pairs: pd.DataFrame, runs: pd.DataFrame
) -> Iterator[Section]:
    items = [_item(row) for row in summary.to_dict("records")]
    yield list_section(items, title="What to use, what to avoid")
    yield _heat_map(arms)
    yield from _ranks(folder, runs)
    for row in summary.to_dict("records"):
        yield _task(folder, row, arms[arms["task"] == row["task"]])
    lead = (
        "Difference of the losses at the end, paired over seeds (Student's t, Holm over all pairs "
        "of a task); the intervals of a task hold together, at all looks where seeds were added."
    )
    yield table_section(pairs, title="Every pair", lead=lead)


def _answer(summary: pd.DataFrame) -> str:
    """Return what to use on each architecture, or on those where one initializer is best alone."""
    alone = summary[summary["verdict"] == "best alone"]
    named = summary if len(summary) <= SPELLED_OUT else alone
    clauses = [
        f"for {row['architecture']}, use {_some(row['use'])}" for row in named.to_dict("records")
    ]
    said = f"{capitalized('; '.join(clauses) or 'no initializer is best alone anywhere')}."
    rest = len(summary) - len(named)
    others = f" On the other {rest} several do equally well." if rest and clauses else ""
    return said + others


def _some(names: str) -> str:
    """Return initializers as a sentence lists them, the first few by name.

    Example:
        >>> _some("a"), _some("a, b"), _some("a, b, c, d, e")
        ('a', 'a or b', 'a, b, c or 2 others')
    """
    listed = _specs(names)
    head, more = listed[:NAMED], len(listed) - NAMED
    if more > 0:
        head = [*head, counted(more, "other")]
    return " or ".join(part for part in (", ".join(head[:-1]), head[-1]) if part)


def _specs(names: str) -> list[str]:
    """Return the specs of a list; a comma inside parentheses separates none."""
    found = [""]
    for part in names.split(", "):
        open_ = found[-1].count("(") > found[-1].count(")")
        found = [*found[:-1], f"{found[-1]}, {part}"] if open_ else [*found, part]
    return found[1:]


def _item(row: dict[Any, Any]) -> tuple[str, str, str]:
    """Return the answer on one architecture: severity, head and text of a list's entry."""
    head = f"{capitalized(row['architecture'])}: use {', '.join(_specs(row['use']))}"
    count = f"{row['arms']} initializers, {row['runs']} runs"
    lines = [f"{row['verdict']}, loss {row['loss']} · {count}"]
    if row["avoid"]:
        lines.append(
            f"avoid {row['avoid']}: they end at {row['loss_of_avoided']}; the best of them is "
            f"worse by {row['worse_by']}"
        )
    return "ok" if row["verdict"] == "best alone" else "watch", head, "\n".join(lines)


def _heat_map(arms: pd.DataFrame) -> Section:
    wide = arms.pivot(index=["init", "task"], columns="outcome", values="value").reset_index()
    lowest = wide.groupby("task")["final_loss"].transform("min")
    cells = arms[arms["outcome"] == "final_loss"].set_index(["init", "task"])["n"]
    n = cells.reindex(pd.MultiIndex.from_frame(wide[["init", "task"]])).to_numpy()
    shown = wide.assign(
        loss=wide["final_loss"],
        final_loss=wide["final_loss"] / lowest,
        cells=n,
        diverged=(wide["diverged"] * n).round().astype(int),
    )
    return heat_map_section(
        shown,
        ["init", "task"],
        metrics=HEAT_MAP,
        logarithmic=["final_loss"],
        lead="Mean over seeds, each initializer at its own best rate. Tasks have losses of their "
        "own scale: what compares them is the loss over the lowest of the task. ✕: all runs "
        "diverged; ✕ with a number: so many did. Empty: not trained, or not meant for it.",
    )


def _ranks(folder: Path, runs: pd.DataFrame) -> Iterator[Section]:
    """Yield the mean ranks of what all tasks were trained from, where several were."""
    found = ranking_of(runs)
    if found is None:
        return
    table = found.mean_ranks.rename_axis("init").rename("mean rank").reset_index()
    tested = (
        f" Friedman's test that all are alike: p = {found.p:.2g}. Ranks at most "
        f"{found.critical_difference:.2f} apart do not differ (Nemenyi)."
        if found.p == found.p
        else ""
    )
    yield table_section(
        table,
        title="Ranks over all tasks",
        lead=f"Mean rank over {counted(found.tasks, 'task')} of the arms that all of them have; 1 "
        f"is best.{tested}",
        images=_images(folder, "ranks", "Mean ranks with the critical difference"),
    )


def _task(folder: Path, row: dict[Any, Any], arms: pd.DataFrame) -> Section:
    """Return the outcomes of one task's arms with their intervals, the lowest loss first."""
    measured = {
        (init, outcome): Interval(*numbers)
        for init, outcome, *numbers in arms[
            ["init", "outcome", "value", "ci_low", "ci_high"]
        ].itertuples(index=False)
    }
    losses = arms[arms["outcome"] == "final_loss"].sort_values(["value", "init"])
    nothing = Interval(*3 * (float("nan"),))
    rows = [
        {"init": init, "rate": lr}
        | {words: measured.get((init, name), nothing) for name, words in OUTCOMES.items()}
        for init, lr in zip(losses["init"], losses["lr"], strict=True)
    ]
    return table_section(
        pd.DataFrame(rows),
        title=str(row["task"]),
        lead=f"{capitalized(row['architecture'])}: {row['runs']} runs. In brackets: 95 % intervals "
        "over seeds.",
        images=_images(folder, row["task"], f"Outcomes and loss curves of {row['task']}"),
    )


def _images(folder: Path, name: str, words: str) -> list[Image]:
    path = folder / "figures" / f"{name}.svg"
    return [Image(words=words, data=path.read_bytes())] if path.is_file() else []
