"""The store: whole files or none, fixed schemas, damage found and named."""

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from init_bench.errors import InitBenchError, StorageError
from init_bench.files import sha256, write_atomic
from init_bench.hooks.layer_call import Row
from init_bench.hooks.record import COLUMNS
from init_bench.statistics.histogram import BINS, REACH, Histogram
from init_bench.training.cell import AXES, Cell
from init_bench.training.chunks import chunk_name
from init_bench.training.folder_format import MANIFEST
from init_bench.training.results import load
from init_bench.training.store import Store
from init_bench.training.tables import LAST_STEPS, SCHEMAS, TABLES, CellResult

SHA = {"mnist": "0" * 64}
HISTOGRAM = Histogram(rms=2.0, counts=[1] * BINS)
DIVERGED = [2.5, 1e30, math.nan]


def manifest(**changes: Any) -> dict[str, Any]:
    return {"grid": [{"seed": [0]}], "dataset_sha256": SHA, **changes}


def layer_rows(step: int) -> list[Row]:
    """Return a capture of two layers, numbers made up, some of them nan; one has a histogram."""
    same: Row = dict.fromkeys(COLUMNS, 1.5 + step) | {"kind": "activation", "step": step}
    own: list[Row] = [
        {"layer": "fc1", "index": 1, "distinct": math.nan},
        {"layer": "act1", "index": 2, "distinct": 3.0, "histogram": HISTOGRAM},
    ]
    return [same | row for row in own]


def result(cell: Cell, losses: list[float] | None = None) -> CellResult:
    curve = np.array(losses or [2.3, 2.25, 0.1 + cell.seed], dtype=np.float32)
    return CellResult(
        cell=cell,
        status="ok" if np.isfinite(curve).all() else "diverged",
        losses=curve,
        test_accuracy=0.5,
        train_seconds=0.25,
        device="cpu",
        layers=[*layer_rows(0), *layer_rows(3)],
    )


@pytest.fixture
def cells() -> list[Cell]:
    return [Cell(steps=3, seed=seed) for seed in (2, 0, 1)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An open store without results."""
    made = Store(tmp_path / "run")
    made.open(manifest())
    return made


@pytest.fixture
def filled(store: Store, cells: list[Cell]) -> Store:
    """A store of two chunks: seeds 2 and 0, and the diverged seed 1."""
    store.write([result(cells[0]), result(cells[1])])
    store.write([result(cells[2], DIVERGED)])
    return store


def parquet_files(store: Store) -> list[Path]:
    return sorted(store.folder.rglob("*.parquet"))


def flip_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap_schema(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["seed"]), path)


DAMAGES = [flip_middle, truncate, empty, swap_schema, Path.unlink]


def test_what_is_written_is_loaded(filled: Store, cells: list[Cell]) -> None:
    found = load(filled.folder)
    assert found.cells["key"].tolist() == [cell.key for cell in sorted(cells, key=lambda c: c.seed)]
    assert found.cells["status"].tolist() == ["ok", "diverged", "ok"]
    assert found.curves.loc[found.curves["seed"] == 2, "step"].tolist() == [0, 1, 2]
    expected = np.array([2.3, 2.25, 2.1], dtype=np.float32)
    assert np.array_equal(found.curves.loc[found.curves["seed"] == 2, "loss"], expected)
    assert len(found.layers) == 3 * 2 * 2
    assert found.folder == filled.folder and found.failures == ()


@pytest.mark.parametrize("kind", TABLES)
def test_every_row_repeats_its_cells_axes(filled: Store, cells: list[Cell], kind: str) -> None:
    frame = getattr(load(filled.folder), kind)
    by_key = {cell.key: cell.axes for cell in cells}
    assert list(frame.columns[: 1 + len(AXES)]) == ["key", *AXES]
    assert all(
        row == by_key[key]
        for key, row in zip(frame["key"], frame[list(AXES)].to_dict("records"), strict=True)
    )


@pytest.mark.parametrize("kind", TABLES)
def test_every_file_has_the_fixed_schema(filled: Store, kind: str) -> None:
    files = sorted((filled.folder / kind).iterdir())
    assert len(files) == 2
    assert all(pq.read_schema(path).equals(TABLES[kind]) for path in files)


@pytest.mark.parametrize("kind", TABLES)
def test_pandas_alone_reads_the_tables(filled: Store, kind: str) -> None:
    frame = pd.read_parquet(filled.folder / kind)
    assert list(frame.columns) == TABLES[kind].names
    assert len(frame) == load(filled.folder).scan(kind).count_rows() > 0


def test_a_chunk_stored_before_there_were_histograms_is_whole(
    filled: Store, cells: list[Cell]
) -> None:
    for path in (filled.folder / "histograms").iterdir():
        path.unlink()
        sums = filled.folder / "checksums" / f"{path.stem}.json"
        stated = json.loads(sums.read_text())
        del stated["histograms"]
        sums.write_text(json.dumps(stated))
    assert Store(filled.folder).set_aside_damaged() == []
    found = load(filled.folder)
    assert len(found.cells) == 3 and found.histograms.empty
    later = Cell(steps=3, seed=5)
    filled.write([result(later)])
    assert set(load(filled.folder).histograms["key"]) == {later.key}


def test_a_row_per_bin_is_loaded_in_the_units_of_the_layer(filled: Store) -> None:
    bins = load(filled.folder).histograms
    assert len(bins) == 3 * 2 * BINS and set(bins["layer"]) == {"act1"}
    one = bins[(bins["seed"] == 0) & (bins["step"] == 3)]
    assert one["low"].iloc[0] == pytest.approx(-REACH * HISTOGRAM.rms)
    assert one["low"].tolist()[1:] == one["high"].tolist()[:-1]
    assert one["share"].sum() == pytest.approx(1) and one["count"].tolist() == HISTOGRAM.counts


def test_losses_that_are_nan_stay_nan(filled: Store) -> None:
    curves = load(filled.folder).curves
    found = curves.loc[curves["seed"] == 1, "loss"].to_numpy()
    assert np.array_equal(found, np.array(DIVERGED, dtype=np.float32), equal_nan=True)
    assert found.dtype == np.float32
    stored = [pq.read_table(path)["loss"] for path in (filled.folder / "curves").iterdir()]
    assert sum(column.null_count for column in stored) == 0, "nan became a missing value"


def test_layer_statistics_that_are_nan_stay_nan(filled: Store) -> None:
    distinct = load(filled.folder).layers["distinct"]
    assert distinct.isna().sum() == len(distinct) / 2


@pytest.mark.parametrize("last", [math.nan, math.inf, -math.inf])
def test_the_final_loss_is_nan_where_the_run_diverged(last: float) -> None:
    assert math.isnan(result(Cell(), [2.5, last]).final_loss)


def test_the_final_loss_is_the_mean_of_the_last_steps() -> None:
    losses = [9.0] * 10 + [1.0, 2.0] * (LAST_STEPS // 2)
    assert result(Cell(), losses).final_loss == 1.5
    assert result(Cell(), [1.0, 2.0]).final_loss == 1.5


def test_a_result_without_layers_is_stored(store: Store) -> None:
    store.write([dataclasses.replace(result(Cell()), layers=[])])
    found = load(store.folder)
    assert (len(found.cells), len(found.layers), len(found.histograms)) == (1, 0, 0)
    assert list(found.layers.columns) == SCHEMAS["layers"].names


def test_done_lists_the_stored_cells(filled: Store, cells: list[Cell]) -> None:
    assert filled.done() == {cell.key for cell in cells}


def test_an_empty_store_has_empty_tables(store: Store) -> None:
    assert store.done() == set()
    found = {kind: store.dataset(kind).to_table() for kind in TABLES}
    assert {kind: table.schema for kind, table in found.items()} == TABLES
    assert all(len(table) == 0 for table in found.values())


def test_a_chunks_name_is_its_cells_in_any_order(cells: list[Cell]) -> None:
    assert chunk_name(cells) == chunk_name(reversed(cells))
    assert chunk_name(cells) != chunk_name(cells[:2])


def test_the_order_of_rows_does_not_depend_on_the_chunks(
    filled: Store, cells: list[Cell], tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    other.open(manifest())
    other.write([result(cells[2], DIVERGED), result(cells[1]), result(cells[0])])
    one, two = load(filled.folder), load(other.folder)
    pd.testing.assert_frame_equal(one.curves, two.curves)
    pd.testing.assert_frame_equal(one.layers, two.layers)
    pd.testing.assert_frame_equal(one.cells, two.cells)


def test_whole_chunks_are_left_alone(filled: Store) -> None:
    before = {path: path.read_bytes() for path in parquet_files(filled)}
    assert filled.set_aside_damaged() == []
    assert {path: path.read_bytes() for path in parquet_files(filled)} == before


def test_histograms_that_the_checksums_do_not_state_do_not_count(filled: Store) -> None:
    for path in (filled.folder / "checksums").glob("*.json"):
        stated = json.loads(path.read_text())
        del stated["histograms"]
        path.write_text(json.dumps(stated))
    found = load(filled.folder)
    assert len(found.cells) == 3 and found.histograms.empty


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_named(filled: Store, cells: list[Cell], damage: Any, kind: str) -> None:
    path = filled.folder / kind / f"{chunk_name(cells[2:])}.parquet"
    damage(path)
    with pytest.raises(InitBenchError, match=rf"damaged or incomplete:\n(.*\n)*\s*{path}"):
        load(filled.folder)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_chunk_is_set_aside_and_the_rest_kept(
    filled: Store, cells: list[Cell], damage: Any, kind: str
) -> None:
    path = filled.folder / kind / f"{chunk_name(cells[2:])}.parquet"
    damage(path)
    later = Store(filled.folder)
    moved = later.set_aside_damaged()
    assert {p.stem for p in moved} == {path.stem}
    assert (path in moved) == (damage is not Path.unlink)
    assert len({p.name for p in (filled.folder / "damaged").iterdir()}) == len(moved)
    assert later.done() == {cell.key for cell in cells[:2]}


def test_a_chunk_set_aside_can_be_written_again(filled: Store, cells: list[Cell]) -> None:
    truncate(filled.folder / "layers" / f"{chunk_name(cells[2:])}.parquet")
    later = Store(filled.folder)
    later.set_aside_damaged()
    later.write([result(cells[2], DIVERGED)])
    assert later.done() == {cell.key for cell in cells}
    assert Store(filled.folder).set_aside_damaged() == []


def test_a_file_may_be_damaged_twice(filled: Store, cells: list[Cell]) -> None:
    path = filled.folder / "curves" / f"{chunk_name(cells[2:])}.parquet"
    for _ in range(2):
        later = Store(filled.folder)
        later.set_aside_damaged()
        later.write([result(cells[2], DIVERGED)])
        truncate(path)
    last = Store(filled.folder)
    assert path in last.set_aside_damaged()
    assert last.done() == {cell.key for cell in cells[:2]}


def test_a_missing_chunk_file_is_not_taken_for_a_done_one(filled: Store, cells: list[Cell]) -> None:
    (filled.folder / "cells" / f"{chunk_name(cells[2:])}.parquet").unlink()
    with pytest.raises(InitBenchError, match="damaged or incomplete"):
        Store(filled.folder).done()


def test_the_command_that_mends_a_moved_folder_names_its_new_place(
    filled: Store, cells: list[Cell], tmp_path: Path
) -> None:
    copy = tmp_path / "a copy"
    shutil.copytree(filled.folder, copy)
    said = json.loads((copy / MANIFEST).read_text())
    words = ["init-bench", "run", "a.toml", "--out", "old"]
    (copy / MANIFEST).write_text(json.dumps(said | {"command": words}))
    (copy / "cells" / f"{chunk_name(cells[2:])}.parquet").unlink()
    with pytest.raises(InitBenchError, match=f"run init-bench run a.toml --out '{copy}' again"):
        Store(copy).done()


@pytest.mark.parametrize("kind", ["curves", "layers", "cells"])
def test_a_failed_write_leaves_no_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    whole = pq.write_table

    def failing(table: Any, path: Path, **words: Any) -> None:
        if path.parent.name == kind:
            path.write_bytes(b"half a file")
            raise OSError("No space left on device")
        whole(table, path, **words)

    monkeypatch.setattr(pq, "write_table", failing)
    with pytest.raises(StorageError, match=f"into {store.folder}: .*No space left.* is whole"):
        store.write([result(Cell())])
    assert parquet_files(store) == []
    assert store.done() == set()
    monkeypatch.undo()
    store.write([result(Cell())])
    assert store.done() == {Cell().key}


def test_a_failed_write_keeps_what_stood(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def failing(part: Path) -> None:
        part.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_atomic(path, failing)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_temporary_files_of_a_killed_run_are_not_read(filled: Store, cells: list[Cell]) -> None:
    half = filled.folder / "curves" / ".x.parquet.1.tmp"
    half.write_bytes(b"half a file")
    assert len(pd.read_parquet(filled.folder / "curves")) == 9
    assert filled.set_aside_damaged() == []
    assert filled.done() == {cell.key for cell in cells}
    assert not half.exists()


def test_a_failure_is_stored_with_its_cells(store: Store, cells: list[Cell]) -> None:
    path = store.write_failure(cells, RuntimeError("out of memory"))
    found = json.loads(path.read_text())
    assert found["error"] == "RuntimeError('out of memory')"
    assert [Cell(**cell) for cell in found["cells"]] == cells


def test_a_folder_with_foreign_files_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    expected = r"holds other files \(thesis\.txt\).* give a new or empty folder"
    with pytest.raises(InitBenchError, match=expected):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused_as_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("a file")
    with pytest.raises(InitBenchError, match=rf"folder {path}: {path} is a file; give another"):
        Store(path)


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InitBenchError, match=rf"{tmp_path / 'file'} is a file"):
        Store(tmp_path / "file" / "out")


def test_asking_for_a_store_makes_nothing(tmp_path: Path) -> None:
    assert not Store(tmp_path / "a" / "b").folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(
        InitBenchError, match=rf"holds no run of init_bench: there is no .*{MANIFEST}"
    ):
        load(tmp_path)


def test_results_on_other_data_are_not_mixed(filled: Store) -> None:
    expected = r"holds results on other data named 'mnist': .* Give a new folder"
    with pytest.raises(InitBenchError, match=expected):
        Store(filled.folder).open(manifest(dataset_sha256={"mnist": "1" * 64}))


def test_the_manifest_of_the_same_grid_is_kept(store: Store) -> None:
    before = (store.folder / MANIFEST).read_bytes()
    Store(store.folder).open(manifest(created="later"))
    assert (store.folder / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", '{"format": 1}', '{"grid": "abc", "dataset_sha256": 5}']
)
def test_a_damaged_manifest_is_named_once_and_written_anew(
    store: Store, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = store.folder / MANIFEST
    path.write_text(damage)
    Store(store.folder).open(manifest())
    assert caplog.text.count(f"{path} is damaged") == 1
    assert json.loads(path.read_text()) == manifest()


def test_a_chunk_whose_checksums_are_not_written_yet_is_left_out(
    filled: Store, cells: list[Cell]
) -> None:
    (filled.folder / "checksums" / f"{chunk_name(cells[2:])}.json").unlink()
    assert set(load(filled.folder).cells["key"]) == {cell.key for cell in cells[:2]}
    assert filled.done() == {cell.key for cell in cells[:2]}


def test_what_another_driver_has_stored_is_not_stored_again(
    filled: Store, cells: list[Cell]
) -> None:
    other = Store(filled.folder)
    other.write([result(cells[0]), result(Cell(steps=3, seed=9))])
    assert sorted(pd.read_parquet(filled.folder / "cells")["seed"]) == [0, 1, 2, 9]
    assert len(pd.read_parquet(filled.folder / "curves")) == 4 * 3
    assert filled.done() == other.done()


def test_the_folder_is_looked_through_only_where_others_may_have_stored_the_cells(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = filled.done()
    looks: list[str] = []

    def look() -> set[str]:
        looks.append("look")
        return set()

    monkeypatch.setattr(filled, "_check_new_chunks", look)
    mine, others = Cell(steps=3, seed=10), Cell(steps=3, seed=11)
    filled.write([result(mine)], claimed=lambda: True)
    assert looks == []
    filled.write([result(others)], claimed=lambda: False)
    assert looks == ["look"]
    assert Store(filled.folder).done() == {*stored, mine.key, others.key}


def test_checksums_are_verified_once(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def noting(path: Path) -> str:
        read.append(path)
        return sha256(path)

    monkeypatch.setattr("init_bench.training.chunk_files.sha256", noting)
    later = Store(filled.folder)
    later.open(manifest())
    later.set_aside_damaged()
    later.done()
    later.dataset("curves").to_table()
    assert sorted(read) == parquet_files(filled)


def test_a_run_in_a_folder_that_cannot_be_written_is_loaded(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert len(load(filled.folder).cells) == 3
    with pytest.raises(InitBenchError, match="is not writable; give another folder"):
        Store(filled.folder)


def test_a_lock_that_cannot_be_written_is_told(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*words: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("init_bench.training.folder_locks.SoftFileLease.acquire", read_only)
    with pytest.raises(StorageError, match=f"cannot write into {filled.folder}: .*Permission"):
        filled.write([result(Cell())])


@pytest.mark.parametrize("change", [{"keys": None, "columns": None}, {"keys": ["x"]}], ids=str)
def test_a_checksum_file_without_sound_keys_is_read_by_its_tables(
    filled: Store, cells: list[Cell], change: dict[str, Any]
) -> None:
    """Older folders have no keys there."""
    for path in (filled.folder / "checksums").glob("*.json"):
        sums = {**json.loads(path.read_text()), **change}
        kept = {name: value for name, value in sums.items() if value is not None}
        path.write_text(json.dumps(kept))
    assert Store(filled.folder).done() == {cell.key for cell in cells}


def test_other_columns_are_told(filled: Store, cells: list[Cell]) -> None:
    name = chunk_name(cells[2:])
    path = filled.folder / "cells" / f"{name}.parquet"
    swap_schema(path)
    sums = {"cells": sha256(path)}
    for kind in ("curves", "layers"):
        sums[kind] = sha256(filled.folder / kind / f"{name}.parquet")
    (filled.folder / "checksums" / f"{name}.json").write_text(json.dumps(sums))
    with pytest.raises(InitBenchError, match="other columns than this version"):
        load(filled.folder)


def test_a_folder_of_a_newer_format_is_refused_and_left_alone(filled: Store) -> None:
    path = filled.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    before = sorted(filled.folder.rglob("*"))
    for opened in (lambda: load(filled.folder), lambda: Store(filled.folder)):
        with pytest.raises(InitBenchError, match=r"in format 2, .* knows format 1 alone: upgrade"):
            opened()
    assert sorted(filled.folder.rglob("*")) == before


def test_a_run_killed_before_its_manifest_is_written_goes_on(store: Store) -> None:
    (store.folder / MANIFEST).unlink()
    (store.folder / f".{MANIFEST}.1.tmp").write_text("{")
    Store(store.folder).open(manifest())
    assert (store.folder / MANIFEST).is_file()


def test_results_without_a_manifest_are_not_added_to(filled: Store) -> None:
    (filled.folder / MANIFEST).unlink()
    with pytest.raises(InitBenchError, match="and no run of init_bench"):
        Store(filled.folder)
