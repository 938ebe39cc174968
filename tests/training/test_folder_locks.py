"""Claims: a cell is one driver's, until it ends or its heartbeat stops."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import init_bench as ib
from init_bench.training import folder_locks as module
from init_bench.training.folder_locks import Claims, holder, locked

AXES: dict[str, Any] = {"width": 4, "depth": 2, "batch_size": 8, "steps": 3}

KILLED = """
import os, sys, pathlib
from init_bench.training.folder_locks import Claims
claims = Claims(pathlib.Path(sys.argv[1])).__enter__()
claims.take({"a", "b"})
os._exit(9)
"""


def test_two_drivers_claim_no_cell_twice(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        assert one.take({"a", "b"}) == {"a", "b"}
        assert two.take({"b", "c"}) == {"c"}
        (seen,) = two.others()
        assert holder(seen).startswith(f"process {seen['pid']} on {seen['host']} (since 20")


def test_a_claim_stands_until_another_driver_takes_it_over(tmp_path: Path) -> None:
    with Claims(tmp_path) as one:
        one.take({"a"})
        assert one.held()
        with Claims(tmp_path) as two:
            one.lease.release()  # as if its heartbeat had stopped
            two.others()
        assert not one.held()
        one.lease.acquire()


def test_the_claim_of_a_driver_that_ends_is_free(tmp_path: Path) -> None:
    with Claims(tmp_path) as two:
        with Claims(tmp_path) as one:
            one.take({"a"})
            assert two.take({"a"}) == set()
        assert two.take({"a"}) == {"a"}


def test_the_claim_of_a_killed_process_is_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    assert len(list((tmp_path / "claims").glob("*.json"))) == 1
    with Claims(tmp_path) as mine:
        assert mine.take({"a"}) == {"a"}
    assert "has ended: its cells are free again" in caplog.text
    assert list((tmp_path / "claims").iterdir()) == []


def _elsewhere(folder: Path) -> Path:
    """Write the claim of a driver on another machine, whose heartbeat we can let stand still."""
    (folder / "claims").mkdir()
    lease = folder / "claims" / "node7-1-x.lock"
    with Claims(folder) as real:
        text = (folder / "claims" / f"{real.name}.lock").read_text()
    host = socket.gethostname()
    lease.write_text(text.replace(host, "node7"))
    claim = {"host": "node7", "pid": 1, "since": "2026-01-01T00:00:00+00:00", "cells": ["a"]}
    lease.with_suffix(".json").write_text(json.dumps(claim))
    return lease


def test_a_driver_elsewhere_keeps_its_claim_while_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.3)
    lease = _elsewhere(tmp_path)
    with Claims(tmp_path) as mine:
        for _ in range(6):
            lease.touch()
            assert mine.take({"a"}) == set()
            time.sleep(0.1)
        time.sleep(0.4)
        assert mine.take({"a"}) == {"a"}


def test_a_lock_is_waited_for_and_this_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    held, order = threading.Event(), []

    def hold() -> None:
        with locked(tmp_path / ".lock"):
            held.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with locked(tmp_path / ".lock"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    who = f"process {os.getpid()} on {socket.gethostname()} (last heartbeat "
    assert f"waiting for {tmp_path / '.lock'}, held by {who}" in caplog.text


@pytest.mark.parametrize("text", ["", "no lease"])
def test_a_lock_that_names_nobody_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Its process was killed, or its disk full, before the name was written."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    path = tmp_path / ".lock"
    path.write_text(text)
    long_ago = time.time() - 2 * module.LEASE_SECONDS
    os.utime(path, (long_ago, long_ago))
    with locked(path):
        assert str(os.getpid()) in path.read_text()


@pytest.mark.parametrize("second", [range(8), range(4, 12)], ids=["equal", "overlapping"])
def test_two_drivers_at_once_store_every_cell_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: range
) -> None:
    """The second starts while the first one trains, trains the rest, and waits for the first."""
    pipeline = import_module("init_bench.training.pipeline")
    monkeypatch.setattr(pipeline, "POLL_SECONDS", 0.05)
    trained: list[str] = []
    trainer = import_module("init_bench.training.chunk_trainer")
    whole = trainer.train_chunk
    begun = threading.Event()

    def noted(cells: Any, *rest: Any) -> Any:
        trained.extend(cell.key for cell in cells)
        begun.set()
        time.sleep(0.3)
        return whole(cells, *rest)

    monkeypatch.setattr(trainer, "train_chunk", noted)
    grids = [ib.Grid(seed=seeds, **AXES) for seeds in (range(8), second)]
    found: dict[int, ib.Results] = {}

    def drive(i: int) -> None:
        found[i] = ib.run(grids[i], tmp_path, device="cpu", progress=False, executor="serial")

    first = threading.Thread(target=drive, args=(0,))
    first.start()
    begun.wait()
    drive(1)
    first.join()
    wanted = {cell.key for grid in grids for cell in grid.cells}
    assert sorted(trained) == sorted(wanted)
    assert sorted(pd.read_parquet(tmp_path / "cells")["key"]) == sorted(wanted)
    assert [len(found[i].cells) for i in (0, 1)] == [8, 8]
