"""Make one page of all papers in a folder: claims by paper, figures, how to repeat them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from init_bench.figures.page import Interval, Page, Section, render, table_section
from init_bench.files import head_of_readme
from init_bench.reproduction.papers.experiment import QUICK_NOTE, QUICK_SUMMARY, experiment_of
from init_bench.reproduction.papers.menu import PAPERS
from init_bench.reproduction.papers.page import figures_of, is_quick, name_of_folder, words_of
from init_bench.reproduction.result import summary_of


def report_of_folders(folders: list[Path]) -> str:
    """Return the page of several papers' results as HTML, the papers in the order of the menu.

    Args:
        folders: of each paper, what ``init-bench paper`` wrote.

    Raises:
        InitBenchError: which paper a folder holds cannot be told.
    """
    names = {folder: name_of_folder(folder) for folder in folders}
    names = dict(sorted(names.items(), key=lambda item: list(PAPERS).index(item[1])))
    claims = {folder: pd.read_parquet(folder / "claims.parquet") for folder in names}
    every = pd.concat([claims[folder].assign(paper=folder.name) for folder in names])
    commands = {folder: _command(folder, name) for folder, name in names.items()}
    quick = [folder.name for folder in names if is_quick(commands[folder])]
    page = Page(
        title="Claims of papers, rechecked",
        answer=f"{QUICK_SUMMARY} {summary_of(every)}" if quick else summary_of(every),
        notes=[f"{', '.join(quick)}: {QUICK_NOTE}"] if quick else [],
        sections=[_claims(every), _verdicts(claims), *_papers(names, claims)],
        command="\n".join(commands.values()),
    )
    return render(page)


def _command(folder: Path, name: str) -> str:
    return head_of_readme(folder).get("command", f"init-bench paper {name}")


def _claims(every: pd.DataFrame) -> Section:
    """Return a row per claim, those that do not hold first."""
    order = ["does not hold", "undecided", "holds"]
    rows = every.sort_values("verdict", key=lambda v: v.map(order.index), kind="stable")
    values = [Interval(*row) for row in rows[["value", "ci_low", "ci_high"]].to_numpy().tolist()]
    shown = rows[["paper", "verdict", "statement", "threshold", "quantity", "seeds", "note"]]
    shown.insert(3, "value", pd.Series(values, index=shown.index, dtype=object))
    return table_section(
        shown,
        title="Claims",
        lead="Those that do not hold come first, then the undecided. A claim holds if the whole "
        "95 % interval over seeds lies within the threshold, and does not hold if all of it lies "
        "outside.",
        words={"value": "value [95 %]"},
    )


def _verdicts(claims: Mapping[Path, pd.DataFrame]) -> Section:
    """Return a row per paper: how many of its claims hold, do not, are undecided."""
    rows = [
        {
            "paper": folder.name,
            "claims": len(each),
            "hold": int((each["verdict"] == "holds").sum()),
            "do not hold": int((each["verdict"] == "does not hold").sum()),
            "undecided": int((each["verdict"] == "undecided").sum()),
        }
        for folder, each in claims.items()
    ]
    return table_section(pd.DataFrame(rows), title="Verdicts by paper")


def _papers(names: Mapping[Path, str], claims: Mapping[Path, pd.DataFrame]) -> Iterator[Section]:
    """Yield a section per paper: what it is, its setting, its figures."""
    for folder, name in names.items():
        experiment = experiment_of(name)
        yield Section(
            kind="images",
            title=folder.name,
            lead=" ".join([f"{PAPERS[name]}.", summary_of(claims[folder]), *words_of(experiment)]),
            images=list(figures_of(folder, experiment)),
        )
