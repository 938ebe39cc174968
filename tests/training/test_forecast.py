"""Forecasts: counted right, linear in the steps, and nothing is written."""

from pathlib import Path
from typing import Any

import pytest

import init_bench as ib
from init_bench.training import chunk_timing
from init_bench.training.cell import Cell
from init_bench.training.chunk_trainer import ChunkTrainer
from init_bench.training.forecast import Forecast, forecast

AXES: dict[str, Any] = {"width": 4, "depth": 2, "batch_size": 8}


@pytest.mark.slow
def test_a_forecast_counts_what_is_stored_and_writes_nothing(tmp_path: Path) -> None:
    ib.run(ib.Grid(seed=range(5), steps=3, **AXES), tmp_path / "run", device="cpu", progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    grid = ib.Grid(seed=range(25), steps=3, **AXES)
    found = forecast(grid, tmp_path / "run", device="cpu", workers=2)
    assert (found.cells, found.stored, found.chunks, found.kinds) == (25, 5, 2, 1)
    assert found.seconds > 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert not forecast(grid, tmp_path / "new", device="cpu").stored
    assert not (tmp_path / "new").exists()


def test_a_forecast_of_a_whole_folder_takes_no_time(tmp_path: Path) -> None:
    grid = ib.Grid(steps=3, **AXES)
    ib.run(grid, tmp_path, device="cpu", progress=False)
    found = forecast(grid, tmp_path, device="cpu")
    assert (found.stored, found.chunks, found.seconds) == (1, 0, 0.0)


@pytest.mark.parametrize(("workers", "share"), [(1, 1.0), (2, 0.5)])
def test_time_is_linear_in_steps_and_cells_and_shared_by_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, share: float
) -> None:
    def timed(chunk: list[ib.Cell], steps: int, train: ChunkTrainer) -> float:
        return len(chunk) * (1.0 + 0.5 * steps)

    monkeypatch.setattr(chunk_timing, "_timed", timed)
    grid = ib.Grid(seed=range(20), steps=[10, 100], **AXES)
    found = forecast(grid, tmp_path, device="cpu", workers=workers)
    assert found.kinds == 1
    assert found.seconds == pytest.approx(share * 20 * (2 * 1.0 + 0.5 * 110))


@pytest.mark.parametrize(("capture_at", "captured"), [((), False), (None, True), ((0, 9), True)])
def test_runs_are_timed_with_captures_only_if_they_have_some(
    capture_at: Any, captured: bool
) -> None:
    seen: list[Cell] = []
    train: Any = lambda cells, progress: seen.extend(cells)  # noqa: E731
    cells = ib.Grid(steps=40, capture_at=capture_at, **AXES).cells
    chunk_timing.time_start_and_step(cells, train)
    assert len(seen) > 1
    assert {bool(cell.captured_steps) for cell in seen} == {captured}


def test_a_forecast_prints_four_lines() -> None:
    counts = {"cells": 200, "stored": 40, "chunks": 16, "kinds": 2, "at_once": 2}
    found = Forecast(**counts, seconds=190.0, worker_bytes=41_500_000)
    cells, _, memory, time = str(found).splitlines()
    assert cells == "cells   200: 40 stored, 160 to train"
    assert "about 42 MB" in memory and "about 3 min" in time


def test_memory_is_that_of_the_largest_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_timing, "_timed", lambda chunk, steps, trainer: 1.0)
    narrow, wide = (
        forecast(ib.Grid(width=width, seed=range(12), steps=1), tmp_path, device="cpu", workers=1)
        for width in (10, 500)
    )
    weights = 784 * 500 + 3 * 500**2 + 10 * 500
    eight_float32_copies = 6 * 8 * 4 * weights  # of a chunk of six
    assert eight_float32_copies < wide.worker_bytes < 3 * eight_float32_copies
    assert narrow.worker_bytes < wide.worker_bytes / 30


@pytest.mark.parametrize(
    "axes",
    [
        {"optimizer": ["sgd", "momentum"], "momentum": [0.5, 0.9], "lr": [0.1, 0.2]},
        {"model": ["mlp", "lenet"], "width": [3, 4], "activation": ["relu", "tanh"]},
    ],
    ids=["optimizer", "model"],
)
def test_cells_come_one_at_a_time_and_each_once(axes: dict[str, Any]) -> None:
    grid = ib.Grid(seed=range(2), **axes)
    cells = list(grid.iter_cells())
    assert cells == grid.cells
    assert len({cell.key for cell in cells}) == len(cells) < grid.size == 16
