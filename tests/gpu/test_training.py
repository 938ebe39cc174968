"""Training on a GPU against the CPU: the same start, the same first steps, the same results."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import init_bench as ib
from init_bench import datasets
from init_bench.hooks.record import COLUMNS
from init_bench.training.device_memory import cells_that_fit
from init_bench.training.engine.device_steps import DeviceSteps
from init_bench.training.engine.trainer import engine_of, train_chunk
from init_bench.training.networks import network_of
from init_bench.training.precision import float32_products

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
GRIDS: dict[str, dict[str, Any]] = {
    "plain": {
        "init": ["he_normal", "lecun_normal", "normal(std=0.01)"],
        "activation": ["relu", "tanh"],
    },
    "adam": {
        "optimizer": "adam",
        "lr": 0.001,
        "activation": ["relu", "gelu"],
        "weight_decay": 0.01,
    },
    "momentum": {"optimizer": "momentum", "activation": "sigmoid"},
    "batch norm": {"norm": "batch"},
    "lenet": {"model": "lenet"},
    "lenet in bfloat16": {"model": "lenet", "precision": "bfloat16"},
    "rates of their own": {
        "init": "mup(base_width=64)",
        "optimizer": "adam",
        "lr": 0.001,
        "width": 200,
    },
    "dropout": {"model": "tests.networks:dropped", "width": 32},
    "siren": {"model": "siren", "dataset": "mnist_pixels", "init": "siren", "lr": 1e-4},
}


def _both(device: torch.device, **axes: Any) -> tuple[list[Any], list[Any]]:
    cells = ib.Grid(**axes).cells
    data = datasets.load(cells[0].dataset)
    with float32_products("float32", device):
        return train_chunk(cells, data, CPU), train_chunk(cells, data, device)


@pytest.mark.parametrize("kind", GRIDS)
def test_the_first_steps_are_those_of_the_cpu(kind: str, device: torch.device) -> None:
    """To 1e-4 over 20 steps; rounding grows faster where the loss falls fast."""
    here, there = _both(device, steps=20, seed=[0, 1], **GRIDS[kind])
    wide = {"lenet": 1e-3, "lenet in bfloat16": 1e-2, "rates of their own": 1e-3}
    allowed = wide.get(kind, 1e-4)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.losses, a.losses, atol=allowed * (1 + abs(a.losses[0])))


def test_the_layers_are_those_of_the_cpu(device: torch.device) -> None:
    here, there = _both(device, steps=1, capture_at=[0], **GRIDS["plain"])
    for a, b in zip(here, there, strict=True):
        stored = [*COLUMNS, "step"]
        mine, other = pd.DataFrame(a.layers)[stored], pd.DataFrame(b.layers)[stored]
        pd.testing.assert_frame_equal(mine, other, rtol=1e-3, atol=1e-5)


def test_final_losses_are_equal_over_seeds(device: torch.device) -> None:
    """Over 12 pairs no difference at the 0.01 % level, nor one of a twentieth of the loss."""
    here, there = _both(device, steps=300, seed=range(12), lr=0.1)
    a, b = (np.array([r.losses[-50:].mean() for r in results]) for results in (here, there))
    assert abs((b - a).mean()) < 0.05 * a.mean()
    if not np.array_equal(a, b):
        assert stats.ttest_rel(a, b).pvalue > 1e-4


@pytest.mark.parametrize("kind", ["plain", "lenet"])
def test_a_grid_twice_has_the_same_bits(kind: str, device: torch.device) -> None:
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(steps=20 if device.type == "cpu" else 100, seed=[0, 1], **GRIDS[kind]).cells
    with float32_products("float32", device):
        first, second = train_chunk(cells, data, device), train_chunk(cells, data, device)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.losses, b.losses)


@pytest.mark.parametrize("kind", ["plain", "adam", "lenet"])
def test_replayed_steps_have_the_bits_of_launched_ones(kind: str, device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need CUDA")
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(seed=[0, 1], **GRIDS[kind]).cells

    def losses(replayed: bool) -> torch.Tensor:
        engine = engine_of(cells, [network_of(c, data).to(device) for c in cells], data)
        assert isinstance(engine, DeviceSteps)
        engine.graph.records = replayed
        found = torch.cat([engine.steps(50), engine.steps(50)]).cpu()
        assert (engine.graph.graph is not None) == replayed
        return found

    assert torch.equal(losses(True), losses(False))


def test_a_step_that_cannot_be_recorded_is_launched_and_others_train_after_it(
    device: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need CUDA")
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(model="tests.networks:waiting", steps=60, seed=[0, 1]).cells
    with caplog.at_level(logging.WARNING):
        waiting = train_chunk(cells, data, device)
    assert "cannot be recorded" in caplog.text
    assert all(len(r.losses) == 60 and r.losses[-1] < r.losses[0] for r in waiting)
    assert torch.rand(3, device=device).shape == (3,), "torch's generator draws again"
    after = train_chunk(ib.Grid(steps=60, seed=[0, 1]).cells, data, device)
    assert all(r.status == "ok" and len(r.losses) == 60 for r in after)


def test_a_block_of_steps_never_waits_for_the_device(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("torch counts waits on CUDA alone")
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(seed=[0, 1]).cells
    engine = engine_of(cells, [network_of(c, data).to(device) for c in cells], data)
    engine.steps(50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the mode a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            engine.steps(50)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_a_chunk_that_does_not_fit_is_halved_and_no_cell_is_lost(
    device: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    if device.type != "cuda":
        pytest.skip("the memory of a CPU has no limit of its own")
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(steps=2, seed=range(40), width=1000, batch_size=512, capture_at=[2]).cells
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2.5e9 / total, device)
    try:
        with caplog.at_level(logging.WARNING):
            results = train_chunk(cells, data, device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert "halved" in caplog.text
    assert [r.cell.key for r in results] == [c.key for c in cells]
    assert all(r.status == "ok" and len(r.losses) == 2 for r in results)


def test_a_run_is_stored_with_its_device(device: torch.device, tmp_path: Path) -> None:
    grid = ib.Grid(steps=60, init=["he_normal", "normal(std=100)"], lr=10.0, seed=[0, 1])
    results = ib.run(grid, tmp_path, device=str(device), progress=False)
    assert set(results.cells["device"]) == {str(device)}
    assert set(results.cells["status"]) <= {"ok", "diverged"} and len(results.cells) == 4


def test_memory_that_torch_keeps_for_later_is_free(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("memory is counted on CUDA alone")
    cells, data = ib.Grid(width=2000, seed=[0]).cells, datasets.load("mnist").to(device)
    before = cells_that_fit(cells, {"mnist": data})
    kept = torch.empty(torch.cuda.mem_get_info(device)[0] // 2, dtype=torch.uint8, device=device)
    del kept
    assert cells_that_fit(cells, {"mnist": data}) > 0.9 * before


def test_the_estimate_of_memory_bounds_what_a_cell_takes(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("memory is counted on CUDA alone")
    data = datasets.load("mnist").to(device)
    cells = ib.Grid(steps=5, seed=range(200), capture_at=[9]).cells
    free = torch.cuda.mem_get_info(device)[0]
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    train_chunk(cells, data, device)
    used = (torch.cuda.max_memory_allocated(device) - before) / len(cells)
    assert used * min(cells_that_fit(cells, {"mnist": data}), 10**9) < free
