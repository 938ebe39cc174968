"""One chunk: against a plain loop, against itself in other company, and when it blows up."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from init_bench.activations import ACTIVATIONS
from init_bench.datasets import Dataset
from init_bench.engine import train_chunk
from init_bench.engine.minibatches import minibatches
from init_bench.errors import InitBenchError
from init_bench.grid import Cell, Grid
from init_bench.init import INITS
from init_bench.models import build, mlp
from init_bench.tables import CellResult

CPU = torch.device("cpu")
ARGUMENTS = {
    "constant": "constant(value=0.1)",
    "uniform": "uniform(a=-0.1, b=0.1)",
    "torch.uniform": "torch.uniform(a=-0.1, b=0.1)",
    "normal": "normal(std=0.1)",
    "torch.constant": "torch.constant(val=0.1)",
    "torch.normal": "torch.normal(std=0.1)",
    "torch.trunc_normal": "torch.trunc_normal(std=0.1)",
    "torch.sparse": "torch.sparse(sparsity=0.5)",
}
"""Specs of initialisers that need an argument, or whose default starts at a loss of hundreds:
there rounding grows tenfold in a few steps, and no two orders of summation agree to 1e-5."""


def _data() -> Dataset:
    g = torch.Generator().manual_seed(7)
    inputs, test_inputs = torch.rand((500, 30), generator=g), torch.rand((100, 30), generator=g)
    labels = torch.randint(0, 5, (600,), generator=g)
    return Dataset(inputs, labels[:500], test_inputs, labels[500:], classes=5, sha256="")


DATA = _data()
SMALL = {"width": 12, "depth": 4, "batch_size": 16}


def _fits_a_matrix(name: str) -> bool:
    try:
        Grid(init=ARGUMENTS.get(name, name))
    except InitBenchError:
        return False
    return True


def _by_key(results: list[CellResult]) -> dict[str, CellResult]:
    return {result.cell.key: result for result in results}


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _plain_losses(cell: Cell) -> list[float]:
    """Train the same cell the way most people write it: alone, ``nn.Module`` and ``optim.SGD``."""
    model = build(
        lambda: mlp(DATA.features, DATA.classes, cell.width, cell.depth, cell.activation),
        cell.init,
        cell.seed,
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=cell.lr)
    losses = []
    batches = minibatches(DATA, [cell.seed], cell.batch_size)
    for _, (inputs, targets) in zip(range(cell.steps), batches, strict=False):
        loss = nn.functional.cross_entropy(model(inputs[cell.seed]), targets[cell.seed])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", [name for name in INITS if _fits_a_matrix(name)])
def test_a_stacked_cell_equals_a_plain_sequential_trained_alone(name: str) -> None:
    grid = Grid(init=ARGUMENTS.get(name, name), activation=list(ACTIVATIONS), steps=20, **SMALL)
    for result in train_chunk(grid.cells, DATA, CPU):
        plain = np.array(_plain_losses(result.cell))[: len(result.losses)]
        np.testing.assert_allclose(
            result.losses, plain, rtol=1e-5, atol=1e-5, err_msg=result.cell.activation
        )
        assert len(result.losses) == 20 or not np.isfinite(plain[-1])


POOL = Grid(
    init=["he_normal", "normal(std=1)", "zeros"],
    activation=["relu", "tanh", "gelu"],
    lr=[0.01, 0.3],
    seed=range(3),
    steps=25,
    **SMALL,
).cells


@pytest.fixture(scope="module")
def alone() -> dict[str, CellResult]:
    torch.set_num_threads(1)
    return _by_key([train_chunk([cell], DATA, CPU)[0] for cell in POOL])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.lists(st.sampled_from(POOL), min_size=1, max_size=20, unique_by=lambda c: c.key))
def test_a_cell_gets_the_same_bits_in_any_company_and_order(
    alone: dict[str, CellResult], chosen: list[Cell]
) -> None:
    together = _by_key(train_chunk(chosen, DATA, CPU))
    for key, result in together.items():
        assert np.array_equal(result.losses, alone[key].losses)
        assert result.test_accuracy == alone[key].test_accuracy
        for mine, other in zip(result.layers, alone[key].layers, strict=True):
            pd.testing.assert_frame_equal(mine, other, check_exact=True)


def test_a_diverged_cell_is_a_row_and_the_others_go_on() -> None:
    cells = Grid(init=["normal(std=1)", "he_normal"], lr=[1e6, 0.01], steps=30, **SMALL).cells
    results = train_chunk(cells, DATA, CPU)
    assert [r.status for r in results] == ["diverged", "ok", "diverged", "ok"]
    assert all(np.isfinite(r.losses).all() and len(r.losses) == 30 for r in results[1::2])
    assert all(not np.isfinite(r.losses[-1]) for r in results[::2] if len(r.losses) < 30)
    assert np.isfinite(results[1].final_loss)


def test_weights_that_blow_up_in_the_last_update_count_as_diverged() -> None:
    cells = Grid(init="he_normal", lr=1e39, steps=1, **SMALL).cells
    result = train_chunk(cells, DATA, CPU)[0]
    assert np.isfinite(result.losses).all()
    assert result.status == "diverged"


def test_layers_are_looked_at_where_asked() -> None:
    cells = Grid(init="he_normal", steps=10, capture_at=[0, 3, 10, 99], **SMALL).cells
    layers = pd.concat(train_chunk(cells, DATA, CPU)[0].layers)
    assert sorted(layers["step"].unique()) == [0, 3, 10]
    assert set(layers["kind"]) == {"pre_activation", "activation", "gradient", "weight"}
    assert list(layers["layer"].unique()) == ["fc1", "act1", "fc2", "act2", "fc3", "act3", "fc4"]


def test_a_network_of_one_layer_trains() -> None:
    cells = Grid(init="he_normal", depth=1, lr=0.5, steps=20, batch_size=16).cells
    result = train_chunk(cells, DATA, CPU)[0]
    np.testing.assert_allclose(result.losses, _plain_losses(cells[0]), rtol=1e-5, atol=1e-5)


def test_ticks_add_up_to_all_cell_steps() -> None:
    ticks: list[int] = []
    cells = Grid(init=["zeros", "he_normal"], steps=120, **SMALL).cells
    train_chunk(cells, DATA, CPU, ticks.append)
    assert sum(ticks) == 240


def test_training_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    train_chunk(Grid(init="torch.default", steps=3, **SMALL).cells, DATA, CPU)
    assert torch.equal(before, torch.get_rng_state())


def test_cells_of_a_seed_see_the_same_minibatches_and_other_seeds_others() -> None:
    inputs, _ = next(minibatches(DATA, [0, 1], 16))
    alone, _ = next(minibatches(DATA, [1], 16))
    assert torch.equal(inputs[1], alone[1])
    assert not torch.equal(inputs[0], inputs[1])


def test_an_emulated_accelerator_gives_the_cpus_bits() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.engine.on_emulated_accelerator"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
