"""How many cells fit into the memory of a device that says how much is free."""

from types import SimpleNamespace

import pytest
import torch

from init_bench import datasets
from init_bench.training.device_memory import USED_SHARE, bytes_of, cells_that_fit
from init_bench.training.grid import Grid


def test_memory_that_torch_keeps_for_later_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, data = Grid(seed=range(50)).cells, datasets.load("mnist")
    room = bytes_of(cells[0], data) / USED_SHARE
    device = SimpleNamespace(free=int(10.5 * room), kept=int(20 * room))

    def empty_cache() -> None:
        device.free, device.kept = device.free + device.kept, 0

    module = SimpleNamespace(mem_get_info=lambda where: (device.free, 0))
    monkeypatch.setattr(torch, "get_device_module", lambda where: module)
    monkeypatch.setattr(torch.accelerator.memory, "empty_cache", empty_cache)
    assert cells_that_fit(cells, {"mnist": data}) == 30
