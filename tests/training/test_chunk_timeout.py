"""A chunk that hangs is recorded as failed, and the others go on."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.training import dispatch
from init_bench.training.chunk_timeout import ChunkTimeoutError, within
from init_bench.training.engine.trainer import train_chunk

GRID = ib.Grid(seed=range(4), width=8, depth=2, batch_size=16, steps=3)


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_chunk_that_hangs_fails_and_the_others_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    free = threading.Event()
    ready = {  # trained before the clock runs
        cell.key: train_chunk([cell], ib.datasets.load("mnist"), torch.device("cpu"))
        for cell in GRID.cells
    }

    def hanging(cells: Any, *_: Any) -> Any:
        if cells[0].seed == 1:
            free.wait()
        return ready[cells[0].key]

    monkeypatch.setattr("init_bench.training.chunk_trainer.train_chunk", hanging)
    monkeypatch.setattr(dispatch, "CHUNK_CELLS", 1)
    options = {"chunk_timeout": 1.0}
    how: dict[str, Any] = {"executor": executor, "workers": 2, "executor_options": options}
    found = ib.run(GRID, tmp_path, device="cpu", progress=False, **how)
    free.set()
    assert found.cells["seed"].tolist() == [0, 2, 3]
    (failure,) = found.failures
    assert "did not end within 1 s, the limit of --chunk-timeout" in failure.read_text()
    assert [cell["seed"] for cell in json.loads(failure.read_text())["cells"]] == [1]


def test_a_slow_chunk_stops_at_its_next_report() -> None:
    reports: list[int] = []
    go_on, ended = threading.Event(), threading.Event()

    def slow(progress: Any) -> None:
        try:
            progress(1)
            go_on.wait()
            progress(2)
        finally:
            ended.set()

    with pytest.raises(ChunkTimeoutError):
        within(0.1, slow, reports.append)
    go_on.set()
    ended.wait()
    assert reports == [1]


def test_an_error_of_the_work_is_its_own() -> None:
    def failing(progress: Any) -> None:
        raise TimeoutError("of the network")

    with pytest.raises(TimeoutError, match="of the network"):
        within(9.0, failing, lambda steps: None)


@pytest.mark.parametrize("seconds", [0, -1, "soon", float("nan")])
def test_a_limit_must_be_a_time(tmp_path: Path, seconds: Any) -> None:
    with pytest.raises(InitBenchError, match=r"chunk_timeout.*must be a number"):
        ib.run(GRID, tmp_path / "out", executor_options={"chunk_timeout": seconds})
    assert not (tmp_path / "out").exists()
