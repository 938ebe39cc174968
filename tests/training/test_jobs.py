"""Jobs that are drivers of their own: what they store, what fails, and what is lost with them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import init_bench as ib
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.executors import EXECUTORS, ChunkOutcome, Executor, Work
from init_bench.training.executors.protocol import Jobs

GRID = ib.Grid(seed=range(25), width=8, depth=2, batch_size=16, steps=3)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ib.Results]:
    """Run the grid in jobs that this process does itself."""

    def run(job: Callable[[Jobs], None]) -> ib.Results:
        def in_jobs(work: Work) -> Iterator[ChunkOutcome]:
            assert work.jobs is not None
            job(work.jobs)
            yield from ()

        mine = Executor(run=in_jobs, parallel=False, help="here", stores=True)
        monkeypatch.setitem(EXECUTORS, "mine", mine)
        return ib.run(GRID, tmp_path, device="cpu", executor="mine", progress=False)

    return run


@pytest.mark.slow
def test_shares_are_stored_each_cell_once_with_the_bits_of_serial(
    run: Callable[..., ib.Results], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calls: list[float] = []

    def two_shares(jobs: Jobs) -> None:
        calls.append(jobs.seconds())
        for share in ((1, 2), (2, 2), (2, 2)):
            jobs.train_share(share, 1)

    found, folder = run(two_shares), tmp_path_factory.mktemp("serial")
    serial = ib.run(GRID, folder, device="cpu", executor="serial", progress=False)
    pd.testing.assert_frame_equal(found.curves, serial.curves, check_exact=True)
    assert pd.read_parquet(tmp_path / "cells")["key"].is_unique
    assert len(calls) == 1 and calls[0] > 0
    run(two_shares)
    assert len(calls) == 1, "nothing is missing: there is no job"


def test_a_job_that_ends_early_is_followed_by_another(run: Callable[..., ib.Results]) -> None:
    calls: list[int] = []

    def dies_twice(jobs: Jobs) -> None:
        calls.append(1)
        if len(calls) > 1:
            jobs.train_share((len(calls) - 1, 2), 1)

    assert len(run(dies_twice).cells) == 25
    assert len(calls) == 3


def test_what_no_job_stores_is_a_failure(run: Callable[..., ib.Results]) -> None:
    calls: list[int] = []
    found = run(lambda jobs: calls.append(1))
    assert (len(found.cells), len(calls)) == (0, 4)
    assert found.failures
    assert "ended 4 times without storing them" in found.failures[0].read_text()


def test_a_chunk_that_fails_in_a_job_is_not_tried_again(
    run: Callable[..., ib.Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def failing(cells: Any, *rest: Any) -> Any:
        if cells[0].seed == 0:
            raise RuntimeError("out of memory")
        return train_chunk(cells, *rest)

    def share(jobs: Jobs) -> None:
        calls.append(1)
        jobs.train_share((1, 1), 1)

    monkeypatch.setattr("init_bench.training.chunk_trainer.train_chunk", failing)
    found = run(share)
    (failure,) = found.failures
    assert "out of memory" in failure.read_text()
    assert 0 < len(found.cells) < 25 and len(calls) == 1
