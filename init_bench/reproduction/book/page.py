"""Make the page of the book's section: claims, histograms, and the runs behind them."""

from pathlib import Path

import pandas as pd

from init_bench.figures.page import (
    Page,
    Section,
    claims_section,
    histograms_section,
    render,
)
from init_bench.reproduction.result import summary_of
from init_bench.theory import expected_of_runs
from init_bench.training.folder_format import MANIFEST
from init_bench.training.results import load
from init_bench.training.run_page import layers_of, page_of_run

TITLE = "Deep Learning from Scratch, section 6.2, measured again"


CLAIMS, HISTOGRAMS = "claims.parquet", "histograms.parquet"
"""Tables of a folder of ``reproduce_book`` beside those of its runs."""


NAMED_FAILURES = 4
"""The answer names the claims that do not hold if there are at most this many."""


def report(claims: pd.DataFrame, summary: str, folder: Path) -> str:
    """Return the page as HTML.

    Args:
        claims: table of the claims.
        summary: how many of them hold.
        folder: of the runs and the histograms; what is not there is left out.
    """

    def extend(sections: list[Section]) -> list[Section]:
        before = [claims_section(claims)] if len(claims) else []
        return [*before, *sections[:1], *_histograms(folder / HISTOGRAMS), *sections[1:]]

    answer = summary + _failures(claims)
    if not (folder / MANIFEST).is_file():
        return render(Page(title=TITLE, answer=answer, sections=extend([])))
    run = load(folder)
    expected = expected_of_runs(layers_of(run), run.axes) if len(run.cells) else None
    return render(page_of_run(run, title=TITLE, answer=answer, expected=expected, extend=extend))


def report_of_folder(folder: Path) -> str:
    """Return the page of what an earlier ``reproduce_book`` stored in ``folder``.

    Raises:
        InitBenchError: a file of the run is damaged.
    """
    claims = pd.read_parquet(folder / CLAIMS)
    return report(claims, summary_of(claims), folder)


def _failures(claims: pd.DataFrame) -> str:
    """Return the statements that do not hold, if they are few."""
    failed = claims.loc[claims["verdict"] == "does not hold", "statement"]
    if not 0 < len(failed) <= NAMED_FAILURES:
        return ""
    return f" Not so: {'; '.join(failed)}."


def _histograms(path: Path) -> list[Section]:
    if not path.is_file():
        return []
    lead = (
        "Five layers of 100 units before training, on 1000 samples of N(0, 1): share of each "
        "layer's activations by value, mean over seeds. std: of all values; signal: sample_std, "
        "the part that depends on the input."
    )
    axes = ["init", "activation", "range"]
    words = {"book": "0 to 1, as in the book", "full": "all values"}
    table = pd.read_parquet(path)
    return [histograms_section(table.assign(range=table["range"].map(words)), axes, lead=lead)]
