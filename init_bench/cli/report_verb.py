"""Write the page of a finished or running job: init-bench report."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from init_bench.cli.verb_output import say
from init_bench.errors import InitBenchError

REPORT = "report.html"


PAPER_TABLES = ("claims", "measured", "expected")
"""Tables of a paper's folder."""


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of run, book, compare, bench, paper or papers."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write. Default: DIR/report.html.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a page with figures and tables of a job.

    The page is one file that needs no network: it can be mailed. A job that is still running, on
    this machine or another, can be reported too; the page says how much of it is done.
    """
    path = write_report(folder, out)
    say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    if show:
        webbrowser.open(path.absolute().as_uri())


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of what ``folder`` holds; return its path.

    Raises:
        InitBenchError: the folder holds no job, a file of it is damaged or of another version, or
            the page cannot be written.
    """
    from init_bench.files import write_atomic

    text, path = page_of_folder(folder), out or folder / REPORT
    try:
        write_atomic(path, lambda part: part.write_text(text, "utf-8"))
    except OSError as cause:
        raise InitBenchError(
            f"the page cannot be written to {path}: {cause.strerror}; give another place with --out"
        ) from None
    return path


def say_page(folder: Path) -> None:
    """Write the page at the end of a job; one that cannot be made ends no job."""
    try:
        say(f"wrote {write_report(folder)}")
    except InitBenchError as error:
        say(f"no page: {error}")


def page_of_folder(folder: Path) -> str:
    """Return the page of what ``folder`` holds: a benchmark, a paper, a comparison, claims, runs.

    Raises:
        InitBenchError: it holds no job, or a file of it is damaged or of another version.
    """
    try:
        return _page(folder)
    except (OSError, KeyError, ValueError) as cause:
        if isinstance(cause, InitBenchError):
            raise
        raise InitBenchError(
            f"{folder} cannot be read: {cause}. It may be half copied, or written by a newer "
            "version of init_bench"
        ) from cause


def _page(folder: Path) -> str:
    # By the tables that are there: what makes one kind of page need not be loaded for another.
    if _holds(folder, "summary", "arms", "pairs"):
        from init_bench.comparison.bench import page as bench

        return bench.report_of_folder(folder)
    if _holds(folder, *PAPER_TABLES):
        from init_bench.reproduction.papers import page as papers

        return papers.report_of_folder(folder)
    papers_inside = _papers_inside(folder)
    if papers_inside:
        from init_bench.reproduction.papers.overview import report_of_folders

        return report_of_folders(papers_inside)
    from init_bench.training.folder_format import folder_of_run

    return _page_of_runs(folder_of_run(folder))


def _papers_inside(folder: Path) -> list[Path]:
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [each for each in inside if _holds(each, *PAPER_TABLES)]


def _holds(folder: Path, *tables: str) -> bool:
    return all((folder / f"{name}.parquet").is_file() for name in tables)


def _page_of_runs(folder: Path) -> str:
    if _holds(folder, "comparison"):
        from init_bench.comparison.page import report_of_folder

        return report_of_folder(folder)
    if _holds(folder, "claims"):
        from init_bench.reproduction.book import page as book

        return book.report_of_folder(folder)
    from init_bench.theory import expected_of_runs
    from init_bench.training.results import load
    from init_bench.training.run_page import layers_of

    run = load(folder)
    expected = expected_of_runs(layers_of(run), run.axes) if len(run.cells) else None
    return run.report(expected=expected)
