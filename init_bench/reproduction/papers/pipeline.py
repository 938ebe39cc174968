"""Recheck the claims of one paper: measure, judge, draw, write."""

import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from init_bench.errors import lookup
from init_bench.figures import measured_and_expected
from init_bench.figures.export import images_of
from init_bench.files import README, make_folder, write_atomic, write_files
from init_bench.reproduction.claim_verdicts import judge
from init_bench.reproduction.papers.experiment import (
    Experiment,
    Tables,
    experiment_of,
    frames_of,
)
from init_bench.reproduction.papers.menu import PAPERS
from init_bench.reproduction.papers.page import report_of_folder
from init_bench.reproduction.papers.readme import readme_of
from init_bench.reproduction.papers.result import Paper
from init_bench.training.intra_op import one_thread
from init_bench.training.seeds_argument import seeds_from


def paper(
    name: str,
    out: str | Path | None = None,
    *,
    seeds: int | Iterable[int] | None = None,
    quick: bool = False,
) -> Paper:
    """Recheck the claims of a paper by number; write tables, figures, README and a page.

    A claim *holds* if its whole 95 % interval over seeds (Student's t) lies within the threshold,
    which was set beforehand, *does not hold* if all of it lies outside, and is *undecided* if the
    threshold is within. All is measured on one thread of the CPU; the same seeds give the same
    numbers.

    Args:
        name: a paper of ``init-bench paper --list``.
        out: folder to write to; ``None`` is ``results/papers/NAME``.
        seeds: a count (0 … n-1), or the seeds themselves; ``None`` is the experiment's own number.
        quick: measure in seconds, on sizes whose verdicts mean little.

    Raises:
        InitBenchError: the paper is unknown, there are no seeds, or ``out`` cannot be written.

    Example:
        >>> paper("he2051")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: unknown paper 'he2051': did you mean 'he2015'? ...
    """
    lookup(PAPERS, name, kind="paper")
    experiment = experiment_of(name, quick=quick)
    numbers = seeds_from(experiment.seeds if seeds is None else seeds)
    folder = Path("results/papers") / name if out is None else Path(out)
    make_folder(folder)
    start, busy = time.perf_counter(), time.process_time()
    with one_thread():
        found = experiment.measure(numbers, **(experiment.quick if quick else {}))
    claims = judge(experiment.claims, frames_of(found))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    figures = _save(claims.drop(columns="steps"), experiment, found, folder)
    result = Paper(claims, folder, figures, (), name, experiment.read, seconds, busy, quick)
    about = readme_of(result, experiment, numbers)
    write_files(folder, {README: about.encode()})
    write_files(folder, {"report.html": report_of_folder(folder).encode()})
    return result


def _save(
    claims: pd.DataFrame, experiment: Experiment, found: Tables, folder: Path
) -> tuple[Path, ...]:
    """Write the tables as CSV and Parquet and the figures as PNG; return the figures' paths."""
    for name, table in {"claims": claims, **found._asdict()}.items():
        write_atomic(folder / f"{name}.parquet", table.to_parquet)
        text = table.to_csv(index=False, float_format="%.8g", lineterminator="\n")
        write_files(folder, {f"{name}.csv": text.encode()})
    paths: list[Path] = []
    for name, picture in experiment.pictures.items():
        figure = measured_and_expected(*found, picture.panels, caption=picture.caption)
        image = images_of(figure, name)[f"{name}.png"]
        paths += write_files(folder / "figures", {f"{name}.png": image})
    return tuple(paths)
