"""The check-up finds a sound machine fit, and one of whose parts fails not."""

import pytest

from init_bench.cli import doctor_checks as checkup
from init_bench.errors import InitBenchError


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
