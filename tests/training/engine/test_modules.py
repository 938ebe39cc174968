"""Any module: against a plain loop, stacked against one at a time, in any company, with dropout."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from init_bench.datasets import Dataset
from init_bench.datasets.column_order import sort_columns
from init_bench.errors import InitBenchError
from init_bench.training.cell import Cell
from init_bench.training.engine import modules
from init_bench.training.engine.minibatches import Minibatch
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.trainer import engine_of, train_chunk
from init_bench.training.grid import Grid
from init_bench.training.networks import check, network_of
from init_bench.training.tables import CellResult
from tests.training.engine.host_waits import assert_never_waits
from tests.training.engine.plain_training import train_plainly

CPU = torch.device("cpu")
IMAGE = (1, 12, 12)


def _data() -> Dataset:
    g = torch.Generator().manual_seed(3)
    pixels = torch.rand((240, 144), generator=g)
    labels = torch.randint(0, 4, (240,), generator=g)
    return Dataset(
        sort_columns(pixels[:200]), labels[:200], pixels[200:], labels[200:], 4, "", image=IMAGE
    )


DATA = _data()
KINDS: dict[str, dict[str, Any]] = {
    "normalized": {"norm": "batch", "width": 9, "depth": 3},
    "lenet": {"model": "lenet"},
    "own": {"model": "tests.networks:half_frozen"},
}
SMALL: dict[str, Any] = {"batch_size": 16, "steps": 12}


@pytest.fixture
def stacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stack on the CPU what is stacked on accelerators."""
    monkeypatch.setattr(modules, "ONE_AT_A_TIME", ())


def _curves(results: list[CellResult]) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    return {result.cell.key: result.losses for result in results}


def _plain_losses(cell: Cell) -> list[float]:
    """Train the cell's network as people write it."""
    shape = (144,) if cell.model == "mlp" else IMAGE
    return train_plainly(cell, network_of(cell, DATA), DATA, shape)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_trains_like_a_plain_loop(kind: str, optimizer: str) -> None:
    axes = {**KINDS[kind], **SMALL, "optimizer": optimizer, "weight_decay": 0.1}
    cells = Grid(lr=[0.02, 0.05], seed=[0, 1], **axes).cells
    for result in train_chunk(cells, DATA, CPU):
        np.testing.assert_allclose(result.losses, _plain_losses(result.cell), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [[0], [0, 1]], ids=["shared", "own"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_trains_like_one_at_a_time(
    kind: str, seeds: list[int], stacking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid(lr=[0.02, 0.05], seed=seeds, optimizer="momentum", **KINDS[kind], **SMALL)
    stacked = train_chunk(grid.cells, DATA, CPU)
    monkeypatch.setattr(modules, "ONE_AT_A_TIME", ("cpu",))
    for one, other in zip(stacked, train_chunk(grid.cells, DATA, CPU), strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-5, atol=1e-5)
        assert one.test_accuracy == pytest.approx(other.test_accuracy, abs=0.05)
        first, last = pd.DataFrame(one.layers), pd.DataFrame(other.layers)
        assert first[["layer", "kind", "step"]].equals(last[["layer", "kind", "step"]])
        np.testing.assert_allclose(first["std"], last["std"], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=8)
@given(chosen=st.sets(st.integers(0, 5), min_size=1), kind=st.sampled_from(list(KINDS)))
def test_a_cell_has_the_same_bits_in_any_company(chosen: set[int], kind: str) -> None:
    cells = Grid(lr=[0.02, 0.05, 0.1], seed=[0, 1], **KINDS[kind], **{**SMALL, "steps": 4}).cells
    together = _curves(train_chunk(cells, DATA, CPU))
    for key, losses in _curves(train_chunk([cells[i] for i in chosen], DATA, CPU)).items():
        assert np.array_equal(losses, together[key])


def test_dropout_draws_from_the_cells_own_stream() -> None:
    grid = Grid(model="tests.networks:dropped", width=16, seed=[0, 1], **SMALL)
    before = torch.get_rng_state()
    first = _curves(train_chunk(grid.cells, DATA, CPU))
    assert torch.equal(before, torch.get_rng_state()), "drew from the global stream"
    torch.manual_seed(99)
    again = _curves(train_chunk(grid.cells[::-1], DATA, CPU))
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_gradient_checkpointing_repeats_its_masks() -> None:
    """Loss and gradients are those of the same masks: a finite difference along the gradient."""
    cell = Cell(model="tests.networks:checkpointed", batch_size=16, lr=1e-4, steps=1)
    network = network_of(cell, DATA)
    batch = Minibatch(DATA.inputs[:16].view(-1, *IMAGE), DATA.targets[:16])
    (trainer,) = modules.SeparateModules([cell], [network]).trainers
    state = trainer.generator.get_state()
    first, gradients = trainer._random_gradients(batch)
    assert trainer.repeats
    found = [g for g in gradients if g is not None]
    squares = sum(float(g.square().sum()) for g in found)
    with torch.no_grad():
        for p, g in zip(trainer.parameters, found, strict=True):
            p.sub_(1e-3 * g)
    trainer.generator.set_state(state)
    second, _ = trainer._random_gradients(batch)
    assert float((first - second).detach()) == pytest.approx(1e-3 * squares, rel=0.05)


def test_a_checkpointed_network_leaves_the_global_stream_alone() -> None:
    grid = Grid(model="tests.networks:checkpointed", seed=[0, 1], **SMALL)
    before = torch.get_rng_state()
    first = _curves(train_chunk(grid.cells, DATA, CPU))
    assert torch.equal(before, torch.get_rng_state())
    again = _curves(train_chunk(grid.cells[::-1], DATA, CPU))
    assert all(np.array_equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("model, layer", [("dropped", "drop1 (Dropout)"), ("branching", "fc (Lin")])
def test_what_cannot_be_stacked_trains_one_at_a_time_and_is_told(
    model: str, layer: str, stacking: None, caplog: pytest.LogCaptureFixture
) -> None:
    grid = Grid(model=f"tests.networks:{model}", seed=[0, 1], **SMALL)
    with caplog.at_level(logging.WARNING):
        results = train_chunk(grid.cells, DATA, CPU)
    assert layer in caplog.text and "one at a time" in caplog.text
    assert [result.status for result in results] == ["ok", "ok"]


def test_looks_change_neither_the_curve_nor_the_buffers() -> None:
    axes = {**KINDS["normalized"], **SMALL}
    often = train_chunk(Grid(capture_at=[0, 3, 7, 12], **axes).cells, DATA, CPU)[0]
    never = train_chunk(Grid(capture_at=[99], **axes).cells, DATA, CPU)[0]
    assert np.array_equal(often.losses, never.losses)
    assert often.test_accuracy == never.test_accuracy
    assert "norm1" in set(pd.DataFrame(often.layers)["layer"]) and never.layers == []


@pytest.mark.parametrize("kind", ["normalized", "lenet"])
def test_a_diverged_cell_leaves_and_the_rest_go_on(kind: str, stacking: None) -> None:
    axes = {**KINDS[kind], **SMALL, "steps": 60, "optimizer": "momentum"}
    broken, fine = train_chunk(Grid(lr=[1e30, 0.01], **axes).cells, DATA, CPU)
    assert (broken.status, fine.status) == ("diverged", "ok")
    assert len(fine.losses) == 60


@pytest.mark.parametrize("seeds", [[0], [0, 1]], ids=["shared", "own"])
def test_a_step_of_a_stack_never_makes_the_host_wait(seeds: list[int], stacking: None) -> None:
    cells = Grid(seed=seeds, weight_decay=0.1, **KINDS["normalized"], **SMALL).cells
    engine = engine_of(cells, [network_of(cell, DATA) for cell in cells], DATA)
    engine.steps(1)
    assert_never_waits(lambda: engine.steps(1))


def test_a_factorys_own_buffer_is_kept() -> None:
    cell = Cell(model="tests.networks:with_own_buffer")
    assert network_of(cell, DATA).get_buffer("temperature").item() == 2.0


@pytest.mark.parametrize(
    "model, message",
    [
        ("too_few_logits", r"logits of shape .*\(2, 4\).* returned \(2, 3\)"),
        ("wrong_input", r"cannot take inputs of shape \(2, 1, 12, 12\).*RuntimeError"),
        ("no_module", r"must return a torch\.nn\.Module, got int"),
        (
            "failing",
            r"could not be built: ZeroDivisionError: on purpose.*may take: feat",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_told_before_any_work(model: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        check(Cell(model=f"tests.networks:{model}"), DATA)


@pytest.mark.parametrize("kind", [{}, KINDS["lenet"]], ids=["mlp", "lenet"])
def test_bfloat16_products_learn_what_float32_learns(kind: dict[str, Any]) -> None:
    """bfloat16 keeps 8 bits: losses near 1.4 agree to a few 2⁻⁸, and are not the same."""
    axes = {**SMALL, **kind}
    wide, narrow = (
        train_chunk(Grid(lr=0.001, precision=p, **axes).cells, DATA, CPU)[0].losses
        for p in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(narrow, wide, atol=8 * 2**-8)
    assert not np.array_equal(narrow, wide)
