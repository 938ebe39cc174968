"""A small battery of faults; ``python -m benchmarks.faults`` is the large one, with real kills."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import init_bench as ib
from benchmarks.fault_drivers import acting_at_write
from init_bench.errors import InitBenchError
from init_bench.training.results import Results
from init_bench.training.tables import TABLES

AXES: dict[str, Any] = {"width": 4, "depth": 2, "batch_size": 8, "steps": 3}
MOMENTS = (1, 2, 4, 8, 12, 16, 20, 22)
"""Of the writing of files, three for each: the manifest, the claim, four tables and the checksums
of a chunk, then the next chunk."""


class Killed(BaseException):
    """Stop a run as ``kill -9`` does: nothing is tidied up."""


@pytest.fixture(scope="module")
def grid(fake_idx: Path) -> ib.Grid:
    return ib.Grid(dataset=f"idx:{fake_idx}", seed=range(3), **AXES)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("init_bench.training.dispatch.CHUNK_CELLS", 2)


def _run(grid: ib.Grid, out: Path) -> Results:
    return ib.run(grid, out, device="cpu", executor="serial", progress=False)


@pytest.fixture(scope="module")
def reference(grid: ib.Grid, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _run(grid, tmp_path_factory.mktemp("reference"))


def _act_at(moment: int, act: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Act at the n-th moment of writing: before a file is synced, before and after its renaming."""
    fsync, replace = acting_at_write(moment, act)
    patch.setattr(os, "fsync", fsync)
    patch.setattr(Path, "replace", replace)


def _assert_nothing_lost_twice_or_wrong(grid: ib.Grid, out: Path, reference: Results) -> None:
    again = _run(grid, out)
    for kind in TABLES:
        found, wanted = getattr(again, kind), getattr(reference, kind)
        drop = ["train_seconds"] if kind == "cells" else []
        pd.testing.assert_frame_equal(found.drop(columns=drop), wanted.drop(columns=drop))
        rows = reference.scan(kind).count_rows()
        assert len(pd.read_parquet(out / kind)) == rows, "rows in the files themselves"
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_write_that_fails_is_said_and_loses_nothing(
    tmp_path: Path, grid: ib.Grid, reference: Results, moment: int
) -> None:
    number = errno.ENOSPC if moment % 4 else errno.EROFS  # full, and read-only

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        _act_at(moment, fail, patch)
        with pytest.raises(InitBenchError, match=os.strerror(number)):
            _run(grid, tmp_path)
    _assert_nothing_lost_twice_or_wrong(grid, tmp_path, reference)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_in_a_write_loses_nothing(
    tmp_path: Path, grid: ib.Grid, reference: Results, moment: int
) -> None:
    def die() -> None:
        raise Killed

    unlink = Path.unlink

    def left_there(path: Path, missing_ok: bool = False) -> None:
        if not path.name.endswith(".tmp"):
            unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", left_there)
        _act_at(moment, die, patch)
        with pytest.raises(Killed):
            _run(grid, tmp_path)
    _assert_nothing_lost_twice_or_wrong(grid, tmp_path, reference)
