"""Grids train each parameter at the rate that its initializer sets."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from init_bench.init import initialize
from init_bench.training.cell import Cell
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.grid import Grid
from init_bench.training.minibatch_indices import sample_indices
from init_bench.training.networks import network_of
from tests.training.engine.test_modules import DATA

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"width": 24, "depth": 4, "batch_size": 16, "steps": 12, "lr": 0.03}
TORCHS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def plain_losses(cell: Cell) -> list[float]:
    """Train the way most people write it, with the groups of the report."""
    model = network_of(cell, DATA)
    report = initialize(model, cell.init, seed=cell.seed)
    given = {"momentum": cell.momentum} if cell.optimizer == "momentum" else {}
    rates = {"lr": cell.lr, "weight_decay": cell.weight_decay}
    groups = report.param_groups(optimizer=cell.optimizer, **rates)  # type: ignore[arg-type]
    update, losses = TORCHS[cell.optimizer](groups, **given), []
    for chosen in itertools.islice(sample_indices(len(DATA.targets), cell.seed, 16), cell.steps):
        loss = nn.functional.cross_entropy(model(DATA.inputs[chosen]), DATA.targets[chosen])
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("optimizer", TORCHS)
def test_a_grid_trains_as_torch_does_with_the_groups(optimizer: str, norm: str) -> None:
    """In one stack with cells without rates, whose numbers are those that they have alone."""
    inits = ["he_normal", "mup(base_width=6)"]
    shape = {**SMALL, "norm": norm, "optimizer": optimizer, "weight_decay": 0.01}
    grid = Grid(init=inits, seed=range(2), **shape)
    results = train_chunk(grid.cells, DATA, CPU)
    for result in results:
        assert np.allclose(result.losses, plain_losses(result.cell), rtol=2e-4, atol=1e-5)
        if result.cell.init == "he_normal":
            (alone,) = train_chunk([result.cell], DATA, CPU)
            assert np.array_equal(alone.losses, result.losses)


def test_the_rates_change_what_is_learned() -> None:
    plain, rated = (Grid(init=f"mup(base_width={n})", **SMALL).cells[0] for n in (24, 6))
    before, after = (train_chunk([cell], DATA, CPU)[0].losses for cell in (plain, rated))
    assert not np.allclose(before, after)


def test_a_grid_takes_a_base_of_its_own_without_a_dry_run() -> None:
    assert Grid(init="mup(base='torch.nn:Identity')").init == ("mup(base='torch.nn:Identity')",)
