"""One chunk: against a plain loop, against itself in other company, and when it blows up."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from init_bench.activations.in_place import Kernel
from init_bench.activations.menu import ACTIVATIONS, Activation
from init_bench.datasets.column_order import sort_columns
from init_bench.errors import InitBenchError
from init_bench.init import INITS
from init_bench.training.cell import Cell
from init_bench.training.engine.first_layer_inputs import DenseInputs
from init_bench.training.engine.minibatches import PaddedMinibatch, padded_minibatches
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.engine.trainer import engine_of, train_chunk
from init_bench.training.grid import Grid
from init_bench.training.minibatch_indices import sample_indices
from init_bench.training.tables import CellResult
from tests.training.engine.host_waits import assert_never_waits
from tests.training.engine.plain_training import (
    DATA,
    perceptron_of,
    torch_optimizer,
    train_plainly,
)

CPU = torch.device("cpu")
ARGUMENTS = {
    "constant": "constant(value=0.1)",
    "critical_normal": "critical_normal(nonlinearity='tanh')",
    "uniform": "uniform(a=-0.1, b=0.1)",
    "torch.uniform": "torch.uniform(a=-0.1, b=0.1)",
    "normal": "normal(std=0.1)",
    "torch.constant": "torch.constant(val=0.1)",
    "torch.normal": "torch.normal(std=0.1)",
    "torch.trunc_normal": "torch.trunc_normal(std=0.1)",
    "torch.sparse": "torch.sparse(sparsity=0.5)",
}
"""Specs of initializers that need an argument, or whose default starts at a loss of hundreds:
there rounding grows tenfold in a few steps, and no two orders of summation agree to 1e-5."""


SMALL: dict[str, Any] = {"width": 12, "depth": 4, "batch_size": 16}


def _fits_a_matrix(name: str) -> bool:
    try:
        Grid(init=ARGUMENTS.get(name, name))
    except InitBenchError:
        return False
    return True


def _by_key(results: list[CellResult]) -> dict[str, CellResult]:
    return {result.cell.key: result for result in results}


def _plain_losses(cell: Cell, dtype: torch.dtype = torch.float32) -> NDArray[np.float64]:
    return np.array(train_plainly(cell, perceptron_of(cell, dtype), DATA))


@pytest.mark.parametrize("name", [name for name in INITS if _fits_a_matrix(name)])
def test_a_stacked_cell_equals_a_plain_sequential_trained_alone(name: str) -> None:
    """To 1e-5, and to as much more as float32 rounding moves the plain loop itself.

    Every activation with one initializer: a step knows no more of the others than their weights.
    """
    tried = list(ACTIVATIONS) if name == "he_normal" else ["relu", "tanh"]
    grid = Grid(init=ARGUMENTS.get(name, name), activation=tried, steps=20, **SMALL)
    for result in train_chunk(grid.cells, DATA, CPU):
        plain, truth = _plain_losses(result.cell), _plain_losses(result.cell, torch.float64)
        length = min(len(result.losses), int(np.isfinite(plain).sum()))
        rounding = 10 * np.abs(plain - truth)[:length]
        apart = np.abs(result.losses[:length] - plain[:length])
        allowed = 1e-5 * (1 + np.abs(plain[:length])) + rounding
        assert (apart <= allowed).all(), (result.cell.activation, apart, allowed)
        assert len(result.losses) == 20 or not np.isfinite(plain[len(result.losses) - 1 :]).all()


DOUBLE = replace(
    DATA,
    sorted_columns=sort_columns(DATA.inputs.double()),
    test_inputs=DATA.test_inputs.double(),
)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_rule_and_activation_equals_autograd_and_torch_optim_in_float64(
    optimizer: str, bias: bool
) -> None:
    """A cell per activation and weight decay, mixed in one stack: weights agree to 1e-10."""
    axes: dict[str, Any] = {
        "depth": 3,
        "width": 7,
        "batch_size": 5,
        "steps": 6,
        "lr": [0.02, 0.05],
    }
    grid = Grid(
        init="he_normal", activation=list(ACTIVATIONS), weight_decay=[0.0, 0.1],
        momentum=[0.5, 0.9], optimizer=optimizer, bias=bias, **axes,
    )  # fmt: skip
    cells = grid.cells
    stack = StackedMLP(
        cells, [perceptron_of(c, torch.float64) for c in cells], DOUBLE.sorted_columns.order
    )
    losses = [
        stack.step(batches)
        for _, batches in zip(range(6), padded_minibatches(DOUBLE, [0], 5), strict=False)
    ]
    for i, cell in enumerate(cells):
        plain, mine = (perceptron_of(cell, torch.float64) for _ in range(2))
        expected = train_plainly(cell, plain, DATA)
        stack.load_into(mine, i)
        np.testing.assert_allclose(torch.stack(losses)[:, i], expected, rtol=1e-10, atol=1e-10)
        for (name, p), q in zip(plain.named_parameters(), mine.parameters(), strict=True):
            np.testing.assert_allclose(
                p.detach(), q.detach(), rtol=1e-10, atol=1e-10, err_msg=f"{cell.activation} {name}"
            )


def test_columns_that_no_sample_of_a_minibatch_uses_change_nothing() -> None:
    """Sparse inputs, whose minibatches leave columns out, train as a plain loop does."""
    keep = torch.rand(DATA.inputs.shape, generator=torch.Generator().manual_seed(1)) < 0.01
    keep[:, :10] = True
    sparse = replace(DOUBLE, sorted_columns=sort_columns(DOUBLE.inputs * keep))
    cell = Grid(init="he_normal", optimizer="adam", weight_decay=0.1, lr=0.01, **SMALL).cells[0]
    stack = StackedMLP([cell], [perceptron_of(cell, torch.float64)], sparse.sorted_columns.order)
    plain, mine = (perceptron_of(cell, torch.float64) for _ in range(2))
    optimizer, widths = torch_optimizer(cell, plain), set()
    source = sample_indices(len(sparse.targets), 0, cell.batch_size)
    for _, chosen, batches in zip(
        range(20), source, padded_minibatches(sparse, [0], cell.batch_size), strict=False
    ):
        widths.add(_inputs(batches)[0].shape[1])
        stack.step(batches)
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(sparse.inputs[chosen]), sparse.targets[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    stack.load_into(mine, 0)
    assert min(widths) < DATA.features
    for p, q in zip(plain.parameters(), mine.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10)


_POOL_AXES: dict[str, dict[str, Any]] = {
    "even": {"width": 32, "depth": 4, "batch_size": 32},
    "odd": {"width": 17, "depth": 3, "batch_size": 5, "optimizer": "adam"},
    "narrow": {"width": 7, "depth": 3, "batch_size": 5, "optimizer": "momentum"},
}
POOLS = {
    name: Grid(
        init=["he_normal", "normal(std=1)", "zeros"],
        activation=["relu", "tanh", "gelu"],
        lr=[0.01, 0.3, 1e6],
        seed=range(3),
        steps=60,
        **axes,
    ).cells
    for name, axes in _POOL_AXES.items()
}


@functools.cache
def _alone(cell: Cell) -> CellResult:
    return train_chunk([cell], DATA, CPU)[0]


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_cell_gets_the_same_bits_in_any_company_and_order(pool: str, data: st.DataObject) -> None:
    cells = st.sampled_from(POOLS[pool])
    chosen = data.draw(st.lists(cells, min_size=1, max_size=20, unique_by=lambda c: c.key))
    chosen.sort(key=lambda cell: cell.seed)
    alone = {cell.key: _alone(cell) for cell in chosen}
    together = _by_key(train_chunk(chosen, DATA, CPU))
    for key, result in together.items():
        assert np.array_equal(result.losses, alone[key].losses, equal_nan=True)
        assert result.test_accuracy == alone[key].test_accuracy
        mine, other = pd.DataFrame(result.layers), pd.DataFrame(alone[key].layers)
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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
    ],
    ids=str,
)
def test_a_chunk_that_does_not_fit_is_halved_whatever_says_so(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cells = Grid(steps=3, seed=range(4), width=32, depth=3, batch_size=16).cells
    fitting = train_chunk(cells, DATA, CPU)

    def limited(cells: Sequence[Cell], *rest: Any) -> Any:
        if len(cells) > 1:
            raise error
        return engine_of(cells, *rest)

    monkeypatch.setattr("init_bench.training.engine.trainer.engine_of", limited)
    for mine, other in zip(train_chunk(cells, DATA, CPU), fitting, strict=True):
        assert mine.cell == other.cell and np.array_equal(mine.losses, other.losses)
    assert "4 cells do not fit into the memory of cpu: halved" in caplog.text


def test_another_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("init_bench.training.engine.trainer.engine_of", failing)
    with pytest.raises(RuntimeError, match="a bug"):
        train_chunk(Grid(steps=3, seed=[0, 1], width=32).cells, DATA, CPU)


def test_layers_are_looked_at_where_asked() -> None:
    cells = Grid(init="he_normal", steps=10, capture_at=[0, 3, 10, 99], **SMALL).cells
    layers = pd.DataFrame(train_chunk(cells, DATA, CPU)[0].layers)
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
    both = _inputs(next(padded_minibatches(DATA, [0, 1], 16)))
    alone = _inputs(next(padded_minibatches(DATA, [1], 16)))
    assert torch.equal(both[1], alone[1])
    assert not torch.equal(both[0], both[1])


def _inputs(batches: dict[int, PaddedMinibatch]) -> dict[int, Tensor]:
    found = {seed: batch.inputs for seed, batch in batches.items()}
    return {seed: one.values for seed, one in found.items() if isinstance(one, DenseInputs)}


def test_a_registered_activation_trains_through_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    square = Activation(formula="a²", source="test", module=lambda: _Square())
    monkeypatch.setitem(ACTIVATIONS, "square", square)
    cell = Cell(init="normal(std=0.3)", activation="square", steps=20, **SMALL)
    result = train_chunk([cell], DATA, CPU)[0]
    np.testing.assert_allclose(result.losses, _plain_losses(cell), rtol=1e-5, atol=1e-5)


def test_a_registered_kernel_trains_in_place_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    backward_passes = []

    def backward(upstream: Tensor, a: Tensor, z: Tensor) -> None:
        backward_passes.append(a.shape)
        upstream.mul_(a).mul_(2)

    kernel = Kernel(lambda a, z: torch.square(a, out=z), backward, needs_a=True)
    square = Activation(formula="a²", source="test", module=lambda: _Square(), kernel=kernel)
    monkeypatch.setitem(ACTIVATIONS, "square", square)
    cell = Cell(init="normal(std=0.3)", activation="square", steps=20, **SMALL)
    result = train_chunk([cell], DATA, CPU)[0]
    np.testing.assert_allclose(result.losses, _plain_losses(cell), rtol=1e-5, atol=1e-5)
    assert len(backward_passes) == 20 * (cell.depth - 1)


class _Square(nn.Module):
    def forward(self, a: Tensor) -> Tensor:
        return a.square()


def test_a_diverged_cell_leaves_and_is_looked_at_once_more() -> None:
    """Its curve ends where the loss does; its last look is at the next multiple of 50 steps."""
    axes = {"init": "he_normal", "lr": [1e6, 0.01], "steps": 120, "seed": [0, 1], **SMALL}
    cells = sorted(Grid(**axes).cells, key=lambda cell: cell.seed)
    results = train_chunk(cells, DATA, CPU)
    for broken, fine in (results[:2], results[2:]):
        layers = pd.DataFrame(broken.layers)
        looks = layers["step"].unique().tolist()
        assert (broken.status, looks) == ("diverged", [0, 50])
        assert len(broken.losses) <= 50 and layers["nonfinite"].iloc[-1] > 0
        assert (fine.status, len(fine.losses)) == ("ok", 120)
        assert list(dict.fromkeys(row["step"] for row in fine.layers)) == [0, 120]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_never_makes_the_host_wait(optimizer: str) -> None:
    axes = {**SMALL, "optimizer": optimizer, "weight_decay": 0.1, "activation": list(ACTIVATIONS)}
    cells = Grid(init="he_normal", **axes).cells
    stack = StackedMLP(cells, [perceptron_of(cell) for cell in cells], DATA.sorted_columns.order)
    batches = padded_minibatches(DATA, [0], 16)
    assert_never_waits(lambda: stack.step(next(batches)))
