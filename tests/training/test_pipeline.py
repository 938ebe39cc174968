"""Running a grid: stored, resumed, repeated, interrupted, damaged."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.training.engine.optimizers import OPTIMIZERS, GradientRule, Optimizer
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.executors import EXECUTORS, ChunkOutcome, Executor, Work, serial
from init_bench.training.results import Results

AXES: dict[str, Any] = {"width": 8, "depth": 3, "batch_size": 16, "steps": 12}
GRID = ib.Grid(init=["he_normal", "normal(std=1)"], lr=[0.01, 3e38], seed=range(3), **AXES)


def _run(grid: ib.Grid, out: Path, **options: Any) -> Results:
    return ib.run(grid, out, device="cpu", progress=False, **options)


def _assert_same_bits(a: Results, b: Results) -> None:
    drop = ["train_seconds"]
    pd.testing.assert_frame_equal(a.cells.drop(columns=drop), b.cells.drop(columns=drop))
    pd.testing.assert_frame_equal(a.curves, b.curves, check_exact=True)
    pd.testing.assert_frame_equal(a.layers, b.layers, check_exact=True)
    pd.testing.assert_frame_equal(a.histograms, b.histograms, check_exact=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _run(GRID, tmp_path_factory.mktemp("reference"), executor="serial")


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 2}, {"workers": 5}, {}], ids=str)
def test_the_same_grid_gives_the_same_bits_with_any_workers(
    tmp_path: Path, reference: Results, options: dict[str, Any]
) -> None:
    _assert_same_bits(_run(GRID, tmp_path, **options), reference)


def test_a_grid_run_in_parts_gives_the_same_bits(tmp_path: Path, reference: Results) -> None:
    _run(ib.Grid(init="normal(std=1)", seed=2, **AXES), tmp_path)
    _assert_same_bits(_run(GRID, tmp_path), reference)


def test_diverged_cells_are_rows_beside_the_others(reference: Results) -> None:
    status = reference.cells.groupby("lr")["status"].unique()
    assert [list(found) for found in status] == [["ok"], ["diverged"]]


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    _run(GRID, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    _run(GRID, tmp_path)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_run_returns_only_the_cells_asked_for(tmp_path: Path) -> None:
    _run(GRID, tmp_path)
    fewer = _run(ib.Grid(init="he_normal", lr=0.01, seed=0, **AXES), tmp_path)
    assert len(fewer.cells) == 1
    assert len(ib.load(tmp_path).cells) == 12


def test_what_was_done_before_an_interrupt_is_kept(
    tmp_path: Path, reference: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def interrupted(cells: Any, *rest: Any) -> Any:
        calls.append(cells)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train_chunk(cells, *rest)

    monkeypatch.setattr("init_bench.training.dispatch.CHUNK_CELLS", 4)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_module_of_package(), "train_chunk", interrupted)
        _run(GRID, tmp_path, executor="serial")
    assert len(ib.load(tmp_path).cells) == 4
    _assert_same_bits(_run(GRID, tmp_path), reference)


def run_module_of_package() -> Any:
    """Return the module, in which tests replace ``train_chunk``."""
    return import_module("init_bench.training.chunk_trainer")


def test_a_chunk_that_fails_is_noted_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(cells: Any, *rest: Any) -> Any:
        if cells[0].seed == 0:
            raise RuntimeError("out of memory")
        return train_chunk(cells, *rest)

    monkeypatch.setattr("init_bench.training.dispatch.CHUNK_CELLS", 4)
    monkeypatch.setattr(run_module_of_package(), "train_chunk", failing)
    results = _run(GRID, tmp_path, workers=1)
    noted = json.loads(results.failures[0].read_text())
    assert "out of memory" in noted["error"]
    assert noted["cells"][0]["seed"] == 0
    assert len(results.cells) == 8


@pytest.mark.parametrize("kind", ["cells", "curves", "layers", "histograms"])
def test_a_damaged_chunk_is_set_aside_and_computed_anew(
    tmp_path: Path, reference: Results, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    _run(GRID, tmp_path)
    path = next((tmp_path / kind).glob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InitBenchError, match=path.name):
        ib.load(tmp_path)
    _assert_same_bits(_run(GRID, tmp_path), reference)
    assert f"{path} is damaged: moved to {tmp_path / 'damaged'}; the run of the grid" in caplog.text
    assert (tmp_path / "damaged" / f"{kind}-{path.name}").is_file()


def test_the_manifest_says_what_was_run(tmp_path: Path) -> None:
    _run(GRID, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["grid"][0]["init"] == ["he_normal", "normal(std=1)"]
    assert manifest["versions"]["torch"] == torch.__version__
    assert len(manifest["dataset_sha256"]["mnist"]) == 64
    assert manifest["format"] == 1
    assert {"device", "created", "command", "machine"} <= manifest.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:99"}, "cuda:99.*On this machine: auto, cpu"),
        ({"device": "gpu"}, "device 'gpu'"),
        ({"device": "meta"}, "meta"),
        ({"executor": "lokal"}, "did you mean 'local'"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
    ],
)
def test_bad_options_are_told_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InitBenchError, match=message):
        ib.run(GRID, out, **{"device": "cpu", "progress": False, **options})
    assert not out.exists()


def test_a_data_set_of_ones_own_is_read_from_its_folder(fake_idx: Path, tmp_path: Path) -> None:
    results = _run(ib.Grid(dataset=f"idx:{fake_idx}", **AXES), tmp_path)
    assert results.cells["status"].tolist() == ["ok"]


def test_training_restores_the_number_of_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _run(ib.Grid(init="zeros", **AXES), tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class SignSGD(GradientRule):
    """W ← W − lr sign(g)."""

    def end_step(self) -> None:
        self.values.sub_(self.gradient.sign_().mul_(self.lr))


@pytest.mark.parametrize("axes", [{}, {"norm": "batch"}], ids=["stacked", "separate"])
def test_an_optimizer_added_from_outside_trains_a_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: dict[str, Any]
) -> None:
    """One record in ``OPTIMIZERS`` is all: grid, tables, summary and figure show its name."""
    entry = Optimizer(rule=SignSGD, help="sign of the gradient")
    monkeypatch.setitem(OPTIMIZERS, "sign_sgd", entry)
    grid = ib.Grid(optimizer=["sgd", "sign_sgd"], momentum=[0.5, 0.9], **AXES, **axes)
    results = _run(grid, tmp_path)
    assert results.cells["optimizer"].value_counts().to_dict() == {"sgd": 1, "sign_sgd": 1}
    assert results.table["optimizer"].tolist() == ["sgd", "sign_sgd"]
    assert "sign_sgd" in repr(results)
    legend = results.figure().axes[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"sgd", "sign_sgd"}
    losses = results.curves.pivot(index="step", columns="optimizer", values="loss")
    differs = (losses["sgd"] != losses["sign_sgd"]).tolist()
    assert differs == [False] + [True] * (AXES["steps"] - 1)
    with pytest.raises(InitBenchError, match=r"Known: sgd, .*, sign_sgd"):
        ib.Grid(optimizer="nadam")


def test_an_added_optimizer_moves_every_weight_by_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPTIMIZERS, "sign_sgd", Optimizer(rule=SignSGD, help="sign"))
    grid = ib.Grid(optimizer="sign_sgd", init="zeros", lr=0.25, width=3, depth=2, steps=1)
    layers = _run(grid, tmp_path).layers
    last = layers[(layers["kind"] == "weight") & (layers["step"] == 1)]
    assert set(last["min"]) | set(last["max"]) <= {-0.25, 0.0, 0.25}


@pytest.mark.parametrize(("parallel", "sizes"), [(True, [3, 3]), (False, [6])])
def test_an_executor_added_from_outside_runs_a_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: bool, sizes: list[int]
) -> None:
    """The grid is cut for its workers if it says that it is parallel, and only then."""
    seen: list[int] = []

    def reversed_order(work: Work) -> Iterator[ChunkOutcome]:
        seen.extend(len(chunk) for chunk in work.chunks)
        yield from serial(replace(work, chunks=work.chunks[::-1]))

    monkeypatch.setitem(EXECUTORS, "mine", EXECUTORS["serial"])  # is taken off again at the end
    with pytest.raises(InitBenchError, match="executor 'mine' is taken"):
        ib.register_executor("mine", EXECUTORS["serial"])
    del EXECUTORS["mine"]
    ib.register_executor("mine", Executor(run=reversed_order, parallel=parallel, help="backwards"))
    grid = ib.Grid(init=["he_normal", "normal(std=1)"], seed=range(3), **AXES)
    results = _run(grid, tmp_path / "mine", executor="mine", workers=2)
    assert seen == sizes
    _assert_same_bits(results, _run(grid, tmp_path / "serial", executor="serial"))
