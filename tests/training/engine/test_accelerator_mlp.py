"""The engine of accelerators, run on the CPU in float64: against a plain loop, in any grouping."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from init_bench.activations.menu import ACTIVATIONS
from init_bench.datasets.column_order import sort_columns
from init_bench.training.cell import Cell
from init_bench.training.engine.accelerator_mlp import AcceleratorMLP
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.grid import Grid
from init_bench.training.minibatch_indices import sample_indices
from tests.training.engine.plain_training import DATA, perceptron_of, train_plainly

KEPT = torch.arange(DATA.features) % 3 != 0  # the other columns are 0 in every sample
SPARSE = replace(DATA, sorted_columns=sort_columns(DATA.inputs.double() * KEPT))


def _steps(stack: AcceleratorMLP, cell: Cell) -> torch.Tensor:
    """Do all steps with the minibatches that a plain loop of each seed draws."""
    draws = {s: sample_indices(len(DATA.targets), s, cell.batch_size) for s in set(stack.seeds)}
    losses = []
    for _ in range(cell.steps):
        drawn = {seed: next(source) for seed, source in draws.items()}
        chosen = torch.stack([drawn[seed] for seed in stack.seeds])
        losses.append(stack.step(stack.inputs[chosen], DATA.targets[chosen]))
    return torch.stack(losses)


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "depth"), [(True, 3), (False, 3), (True, 1)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_trains_as_a_plain_loop_does(optimizer: str, bias: bool, depth: int) -> None:
    axes: dict[str, Any] = {"depth": depth, "width": 7, "batch_size": 5, "steps": 12}
    cells = Grid(
        init="he_normal", activation=list(ACTIVATIONS), weight_decay=[0.0, 0.1], lr=[0.02, 0.05],
        momentum=0.5, optimizer=optimizer, bias=bias, **axes,
    ).cells  # fmt: skip
    stack = AcceleratorMLP(cells, [perceptron_of(c, torch.float64) for c in cells], SPARSE)
    losses = _steps(stack, cells[0])
    for i, cell in enumerate(cells):
        plain, mine = (perceptron_of(cell, torch.float64) for _ in range(2))
        np.testing.assert_allclose(losses[:, i], train_plainly(cell, plain, SPARSE), rtol=1e-10)
        stack.load_into(mine, i)
        for p, q in zip(plain.parameters(), mine.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10, msg=cell.activation)


@pytest.mark.parametrize(
    "seeds, group", [([0, 0, 1, 1, 2, 2], 2), ([0, 0, 0, 1], 1), ([3, 3, 3], 3)]
)
def test_cells_of_a_seed_share_one_product_where_seeds_have_equally_many(
    seeds: list[int], group: int
) -> None:
    """Whatever the grouping, each cell trains with the minibatches of its own seed."""
    axes: dict[str, Any] = {"depth": 2, "width": 7, "batch_size": 5, "steps": 4}
    cells = [Cell(lr=0.01 * (i + 1), seed=seed, **axes) for i, seed in enumerate(seeds)]
    stack = AcceleratorMLP(cells, [perceptron_of(c, torch.float64) for c in cells], SPARSE)
    assert stack.group == group
    losses = _steps(stack, cells[0])
    for i, cell in enumerate(cells):
        alone = AcceleratorMLP([cell], [perceptron_of(cell, torch.float64)], SPARSE)
        np.testing.assert_allclose(losses[:, i], _steps(alone, cell)[:, 0], rtol=1e-10)
