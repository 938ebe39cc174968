"""The command that measures a GPU: what it needs, what it keeps, what it refuses."""

import importlib.metadata
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import gpu, peers
from init_bench.training.engine.trainer import engine_of
from init_bench.training.networks import network_of


def test_packages_that_are_missing_or_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not gpu.missing_packages(), "else this tests nothing"
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "annotated-types":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"filelock": "3.18.0", "torch": "2.11.0+cu130"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    missing = gpu.missing_packages()
    assert missing == ["filelock>=3.30", "annotated-types"]
    assert "'filelock>=3.30' 'annotated-types'" in gpu.advice(missing)


def test_what_was_measured_is_kept_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def section(run: gpu.Run) -> gpu.Rows:
        yield gpu.row("first", 1.0, "s")
        assert (tmp_path / "out" / "gpu-rehearsal.md").read_text("utf-8").count("first") == 1
        raise ValueError("lost")

    monkeypatch.setattr(gpu, "SECTIONS", ((section, 0.0),))
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu"])
    gpu.main()
    for folder in ("results", "out"):
        table = pd.read_csv(tmp_path / folder / "gpu-rehearsal.csv")
        assert table["what"].tolist() == ["first", "section: ValueError: lost"]


def test_single_launches_are_not_timed_on_cuda() -> None:
    cells, data = peers.cells(1, 1), peers.mnist("cpu")
    engine = engine_of(cells, [network_of(cell, data) for cell in cells], data)
    peers.check_recorded(engine, "cpu")
    with pytest.raises(RuntimeError, match="no CUDA graph was recorded"):
        peers.check_recorded(engine, "cuda:0")
