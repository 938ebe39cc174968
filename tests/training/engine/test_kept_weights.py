"""Weights kept in the middle of a training: those that a shorter training ends with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import init_bench as ib
from init_bench import datasets
from init_bench.training.engine.kept_weights import State, wanted_of, weights_kept
from init_bench.training.engine.trainer import engine_of
from init_bench.training.networks import network_of

STEPS, KEPT = 8, 5


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, State]:
    """Weights of the first of two seeds."""
    grid = ib.Grid(width=20, depth=2, batch_size=16, steps=STEPS, seed=[0, 1])
    with weights_kept([grid.cells[0].key], KEPT) as found:
        ib.run(grid, tmp_path_factory.mktemp("kept"), device="cpu", progress=False)
    return found.states


def test_the_weights_are_those_after_as_many_updates(kept: dict[str, State]) -> None:
    cell = ib.Grid(width=20, depth=2, batch_size=16, steps=STEPS).cells[0]
    data = datasets.load("mnist")
    network = network_of(cell, data)
    engine = engine_of([replace(cell, steps=KEPT)], [network], data)
    engine.steps(KEPT)
    engine.load_into(network, 0)
    for name, value in network.state_dict().items():
        assert torch.equal(kept[cell.key][name], value)


def test_only_the_cells_asked_for_are_kept(kept: dict[str, State]) -> None:
    assert list(kept) == [ib.Grid(width=20, depth=2, batch_size=16, steps=STEPS).cells[0].key]


def test_a_step_that_is_not_reached_keeps_nothing(tmp_path: Path) -> None:
    grid = ib.Grid(width=20, depth=2, batch_size=16, steps=STEPS)
    with weights_kept([grid.cells[0].key], STEPS + 1) as found:
        ib.run(grid, tmp_path, device="cpu", progress=False)
    assert found.states == {}


def test_blocks_of_the_same_cells_do_not_end_each_other(tmp_path: Path) -> None:
    grid = ib.Grid(width=20, depth=2, batch_size=16, steps=STEPS)
    keys = [grid.cells[0].key]
    with weights_kept(keys, KEPT) as outer:
        with weights_kept(keys, KEPT), pytest.raises(RuntimeError):
            raise RuntimeError
        ib.run(grid, tmp_path, device="cpu", progress=False)
    assert list(outer.states) == keys
    assert wanted_of(grid.cells) == []
