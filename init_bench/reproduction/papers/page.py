"""Make the page of a paper: claims with numbers and verdicts, figures, what was measured."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.figures.page import Image, Page, Section, claims_section, render, table_section
from init_bench.files import README, head_of_readme
from init_bench.reproduction.papers.experiment import (
    QUICK_NOTE,
    QUICK_SUMMARY,
    Experiment,
    experiment_of,
)
from init_bench.reproduction.papers.menu import PAPERS
from init_bench.reproduction.result import summary_of


def report_of_folder(folder: Path) -> str:
    """Return the page of what an earlier ``paper`` stored in ``folder`` as HTML.

    Raises:
        InitBenchError: which paper it is cannot be told.
    """
    name = name_of_folder(folder)
    claims = pd.read_parquet(folder / "claims.parquet")
    facts = head_of_readme(folder)
    quick = is_quick(facts.get("command", ""))
    experiment = experiment_of(name)
    page = Page(
        title=PAPERS[name],
        answer=f"{QUICK_SUMMARY} {_answer(claims)}" if quick else _answer(claims),
        notes=[*[QUICK_NOTE] * quick, *words_of(experiment)],
        sections=list(_sections(folder, experiment, claims)),
        command=facts.pop("command", f"init-bench paper {name}"),
        facts=facts,
    )
    return render(page)


def words_of(experiment: Experiment) -> list[str]:
    """Return how the paper was rechecked, what of it was read and what was left out."""
    left_out = [f"Not rechecked: {experiment.not_checked}"] if experiment.not_checked else []
    return [experiment.setting, f"Read of the paper: {experiment.read}", *left_out]


def is_quick(command: str) -> bool:
    """Return whether the command made a quick run, which judges no claim of the paper."""
    return " --quick" in command


def name_of_folder(folder: Path) -> str:
    """Return the paper's name: the heading of the README, or the folder's own."""
    readme = folder / README
    heading = readme.read_text("utf-8").partition("\n")[0].strip("# ") if readme.is_file() else ""
    for name in (heading, folder.resolve().name):
        if name in PAPERS:
            return name
    raise InitBenchError(
        f"{folder} holds claims of a paper, but not which: its README.md is gone; name the folder "
        f"as the paper: {', '.join(PAPERS)}"
    )


def figures_of(folder: Path, experiment: Experiment) -> Iterator[Image]:
    """Yield the figures of a paper that ``folder`` holds, each with the caption written in it."""
    for name, picture in experiment.pictures.items():
        path = folder / "figures" / f"{name}.png"
        if path.is_file():
            data = path.read_bytes()
            yield Image(
                words=f"Figure {name}", caption=picture.caption, data=data, kind="image/png"
            )


def _answer(claims: pd.DataFrame) -> str:
    """Return how many claims hold, and the statements of those that do not."""
    failed = claims.loc[claims["verdict"] == "does not hold", "statement"]
    named = f" Not so: {'; '.join(dict.fromkeys(failed))}." if len(failed) else ""
    return summary_of(claims) + named


def _sections(folder: Path, experiment: Experiment, claims: pd.DataFrame) -> Iterator[Section]:
    yield claims_section(claims)
    for image in figures_of(folder, experiment):
        yield Section(kind="images", title=image.words, images=[image])
    measured = pd.read_parquet(folder / "measured.parquet")
    expected = pd.read_parquet(folder / "expected.parquet")
    yield table_section(measured, title="Measured", lead="Every value, a row per seed.")
    if len(expected):
        yield table_section(expected, title="Expected", lead="What theory says.")
