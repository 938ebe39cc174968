"""The check-up finds a sound machine fit, and one of whose parts fails not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from init_bench.cli import doctor_checks as checkup
from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError
from init_bench.training.cell import Cell
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.tables import CellResult


def unfit() -> list[str]:
    return [check.name for check in checkup.checks() if not check.fit]


def test_this_machine_is_fit() -> None:
    assert unfit() == []


def test_data_that_cannot_be_read_make_it_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise InitBenchError(f"{name} is damaged")

    monkeypatch.setattr("init_bench.datasets.load", broken)
    assert unfit() == ["mnist sha256"]


def test_operators_that_do_not_load_make_it_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("torchvision.ops.nms", missing)
    assert unfit() == ["torchvision operators"]
    assert "nms does not exist" in " ".join(check.found for check in checkup.checks())


def test_an_accelerator_is_compared_with_the_cpu() -> None:
    """The CPU stands in for it: the same losses, no tf32."""
    found = {check.name: check for check in checkup.accelerator_checks(torch.device("cpu"))}
    assert found["cpu self-test"].fit
    assert found["cpu self-test"].found.endswith("at most 0.0e+00")
    assert found["cpu precisions"].found == "float32, bfloat16"


def test_an_accelerator_that_computes_otherwise_makes_it_unfit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(cells: Sequence[Cell], data: Dataset, device: torch.device) -> list[CellResult]:
        (result,) = train_chunk(cells, data, torch.device("cpu"))
        return [replace(result, losses=result.losses + (device.type == "meta"))]

    monkeypatch.setattr(checkup, "train_chunk", wrong)
    monkeypatch.setattr(checkup, "_memory", str)
    *_, tested = checkup.accelerator_checks(torch.device("meta"))
    assert not tested.fit and "0.0001 is allowed" in tested.found
