"""Compaction: the same rows in fewer files, at every moment of it."""

import json
from pathlib import Path

import pandas as pd
import pytest

import init_bench as ib
from init_bench.errors import InitBenchError, StorageError
from init_bench.training import compaction
from init_bench.training.chunk_files import ChunkFiles
from init_bench.training.compaction import compact
from init_bench.training.folder_locks import Claims
from init_bench.training.store import Store
from init_bench.training.tables import SCHEMAS, TABLES

GRIDS = [ib.Grid(seed=seed, width=4, depth=2, steps=3) for seed in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of five chunks of one cell each."""
    for grid in GRIDS:
        ib.run(grid, tmp_path, device="cpu", progress=False)
    return tmp_path


def _assert_same_rows(folder: Path, before: ib.Results) -> None:
    after = ib.load(folder)
    for kind in TABLES:
        pd.testing.assert_frame_equal(getattr(after, kind), getattr(before, kind))


def _loaded(folder: Path) -> ib.Results:
    """Return the results with all tables read, as their files will go."""
    results = ib.load(folder)
    assert len(results.curves) and len(results.layers) and len(results.histograms)
    return results


def test_a_compacted_run_has_the_same_rows_in_one_file(folder: Path) -> None:
    before = _loaded(folder)
    assert compact(folder) == (5, 1)
    _assert_same_rows(folder, before)
    for kind in TABLES:
        assert len(list((folder / kind).iterdir())) == 1
    for kind in SCHEMAS:
        assert len(pd.read_parquet(folder / kind)) == len(getattr(before, kind))
    assert compact(folder) == (1, 1)


def test_a_compacted_run_goes_on(folder: Path) -> None:
    compact(folder)
    files = sorted(folder.rglob("*.parquet"))
    ib.run(GRIDS, folder, device="cpu", progress=False)
    assert sorted(folder.rglob("*.parquet")) == files
    ib.run(ib.Grid(seed=9, width=4, depth=2, steps=3), folder, device="cpu", progress=False)
    assert compact(folder) == (2, 1)
    assert sorted(ib.load(folder).cells["seed"]) == [0, 1, 2, 3, 4, 9]


def test_large_chunks_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _loaded(folder)
    monkeypatch.setattr(compaction, "MOST_ROWS", 2 * (len(before.curves) + 5 + 150) // 5)
    assert compact(folder)[1] > 1
    _assert_same_rows(folder, before)


@pytest.mark.parametrize("after", ["run", "compact"])
def test_a_call_killed_before_the_old_files_are_gone_counts_no_row_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    before = _loaded(folder)
    removed: list[str] = []

    def killed(chunk: ChunkFiles) -> None:
        removed.append(chunk.name)
        if len(removed) == 3:
            raise KeyboardInterrupt
        for path in (chunk.sums, *chunk.every_table):
            path.unlink()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ChunkFiles, "remove", killed)
        compact(folder)
    assert len(list((folder / "cells").iterdir())) == 1 + 3
    _assert_same_rows(folder, before)
    if after == "run":
        ib.run(GRIDS, folder, device="cpu", progress=False)
    else:
        assert compact(folder) == (1, 1)
    assert len(pd.read_parquet(folder / "cells")) == 5
    _assert_same_rows(folder, before)


@pytest.mark.parametrize("kind", TABLES)
def test_a_full_disk_leaves_the_old_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    before, files = _loaded(folder), sorted(folder.rglob("*.parquet"))

    def full(folder: Path, kind_: str, names: list[str], path: Path) -> None:
        path.write_bytes(b"half")
        if kind_ == kind:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(compaction, "_merge", full)
    with pytest.raises(StorageError, match="No space left on device"):
        compact(folder)
    assert sorted(folder.rglob("*.parquet")) == files
    _assert_same_rows(folder, before)


def test_a_folder_that_is_being_written_is_refused(folder: Path) -> None:
    with Claims(folder) as driver, Store(folder).locked():
        driver.take({"a"})
    with Claims(folder) as driver:
        driver.take({"a"})
        with pytest.raises(
            InitBenchError, match=r"is being written by process \d+ on .* \(since 20"
        ):
            compact(folder)
    assert compact(folder) == (5, 1)


def test_some_cells_of_a_compacted_run_are_read_by_their_row_groups(folder: Path) -> None:
    wanted = ib.load(folder, seed=[1, 3])
    curves, layers, histograms = wanted.curves, wanted.layers, wanted.histograms
    compact(folder)
    found = ib.load(folder, seed=[1, 3])
    pd.testing.assert_frame_equal(found.curves, curves)
    pd.testing.assert_frame_equal(found.layers, layers)
    pd.testing.assert_frame_equal(found.histograms, histograms)
    chunk = ChunkFiles(folder, next((folder / "cells").iterdir()).stem)
    sums = chunk.sound_sums()
    assert sums is not None
    part = chunk.fragment("curves", chunk.row_groups(sums), set(found.cells["key"]))
    assert len(part.row_groups) == 2
    assert set(part.to_table()["key"].to_pylist()) == set(found.cells["key"])


@pytest.mark.parametrize("without", [1, 5])
def test_chunks_that_have_no_histograms_are_merged(folder: Path, without: int) -> None:
    for name in sorted(path.stem for path in (folder / "cells").iterdir())[:without]:
        (folder / "histograms" / f"{name}.parquet").unlink()
        sums = folder / "checksums" / f"{name}.json"
        stated = json.loads(sums.read_text())
        del stated["histograms"]
        sums.write_text(json.dumps(stated))
    before = ib.load(folder)
    assert len(before.curves) and len(before.layers)  # read now: their files will go
    assert before.histograms["key"].nunique() == 5 - without
    assert compact(folder) == (5, 1)
    _assert_same_rows(folder, before)
    some = ib.load(folder, seed=[1, 3]).histograms
    wanted = before.histograms[before.histograms["seed"].isin([1, 3])]
    pd.testing.assert_frame_equal(some, wanted.reset_index(drop=True))
