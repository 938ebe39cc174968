"""The first layer's products without zeros: the same numbers, and the same bits in any company."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from init_bench.datasets import Dataset
from init_bench.datasets.column_order import sort_columns
from init_bench.training.engine.first_layer_inputs import (
    DenseInputs,
    SparseInputs,
    leaves_out_zeros,
    padded_rows,
)
from init_bench.training.engine.minibatches import padded_minibatches
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.grid import Grid
from tests.training.engine.plain_training import perceptron_of, train_plainly

FEATURES, CLASSES = 30, 6


def images(density: float, count: int = 200) -> Tensor:
    """Return images in bytes, some of them and some pixels all 0."""
    g = torch.Generator().manual_seed(7)
    drawn = torch.randint(1, 256, (count, FEATURES), generator=g)
    drawn *= torch.rand((count, FEATURES), generator=g) < density
    drawn[::9], drawn[:, 3] = 0, 0
    return drawn.byte()


def dataset(density: float) -> Dataset:
    g = torch.Generator().manual_seed(8)
    labels = torch.randint(0, CLASSES, (300,), generator=g)
    tested = torch.rand((100, FEATURES), generator=g)
    return Dataset(sort_columns(images(density)), labels[:200], tested, labels[200:], CLASSES, "")


SPARSE = dataset(0.2)


def _pair(samples: Tensor) -> tuple[SparseInputs, Tensor]:
    columns = SPARSE.sorted_columns
    return SparseInputs(columns.nonzero, samples.numpy(), FEATURES), columns.values()[samples]


@given(units=st.sampled_from([1, 7, 100, 1024, 1100]), seed=st.integers(0, 99))
def test_products_are_those_of_all_values(units: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    inputs, x = _pair(torch.randint(0, 200, (32,), generator=g))
    weight, out = torch.randn(FEATURES, units, generator=g), torch.empty(units, 32)
    inputs.multiply(weight, out)
    wanted = (x.double() @ weight.double()).mT
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradients_are_those_of_all_values(optimizer: str) -> None:
    cells = Grid(init="he_normal", lr=[0.1, 0.2], optimizer=optimizer).cells
    g = torch.Generator().manual_seed(1)
    inputs, x = _pair(torch.randint(0, 200, (32,), generator=g))
    delta = torch.randn(2 * 17, 32, generator=g)
    updated = []
    for taken in (inputs, DenseInputs(x)):
        start = torch.randn(FEATURES, 2, 17, generator=torch.Generator().manual_seed(2))
        rule = OPTIMIZERS[optimizer].rule(start, 1, cells)
        for _ in range(3):
            rule.begin_step()
            taken.accumulate(rule, delta)
            rule.end_step()
        updated.append(rule.values)
    np.testing.assert_allclose(updated[0], updated[1], rtol=1e-4, atol=1e-5)


def test_a_column_of_units_has_the_same_bits_beside_any_others() -> None:
    g = torch.Generator().manual_seed(3)
    inputs, _ = _pair(torch.randint(0, 200, (32,), generator=g))
    weight, whole = torch.randn(FEATURES, 1203, generator=g), torch.empty(1203, 32)
    inputs.multiply(weight, whole)
    for begin, end in ((0, 1), (5, 22), (1000, 1100), (1190, 1203)):
        part = torch.empty(end - begin, 32)
        inputs.multiply(weight[:, begin:end].contiguous(), part)
        assert torch.equal(part, whole[begin:end])


@pytest.mark.parametrize("units", [1, 16, 33, 112, 300, 500])
def test_padding_changes_no_bit(units: int) -> None:
    g = torch.Generator().manual_seed(5)
    inputs, _ = _pair(torch.randint(0, 200, (32,), generator=g))
    delta, dense = torch.randn(units, 32, generator=g), torch.randn(FEATURES, units, generator=g)
    found = []
    for weight in (dense, padded_rows(FEATURES, units, like=dense).copy_(dense)):
        rule = OPTIMIZERS["sgd"].rule(weight.unsqueeze(1), 1, Grid(lr=0.1).cells)
        inputs.accumulate(rule, delta)
        out = torch.empty(units, 32)
        inputs.multiply(weight, out)
        found.append((weight, out))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_padded_rows_begin_cache_lines_that_differ_in_their_place() -> None:
    for units in (1, 16, 100, 500, 512):
        matrix = padded_rows(4, units, like=torch.empty(0))
        lines, rest = divmod(matrix.stride(0), 16)
        assert matrix.shape == (4, units)
        assert (lines % 2, rest) == (1, 0)


def _kind(data: Dataset, precision: str = "float32") -> type:
    return type(next(padded_minibatches(data, [0], 8, precision=precision))[0].inputs)


def test_zeros_are_left_out_of_images_that_are_mostly_0() -> None:
    assert _kind(SPARSE) is SparseInputs
    assert _kind(SPARSE, precision="bfloat16") is DenseInputs
    assert _kind(dataset(0.6)) is DenseInputs
    floats = replace(SPARSE, sorted_columns=sort_columns(SPARSE.inputs))
    assert _kind(floats) is DenseInputs


AXES: dict[str, Any] = {"width": 17, "depth": 3, "steps": 20}


@pytest.mark.parametrize("batch_size", [5, 32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_cell_trains_as_a_plain_loop_does(optimizer: str, batch_size: int) -> None:
    grid = Grid(init="he_normal", lr=0.01, optimizer=optimizer, batch_size=batch_size, **AXES)
    result = train_chunk(grid.cells, SPARSE, torch.device("cpu"))[0]
    plain = train_plainly(grid.cells[0], perceptron_of(grid.cells[0]), SPARSE)
    np.testing.assert_allclose(result.losses, plain, rtol=1e-4, atol=1e-5)


def test_a_cell_gets_the_same_bits_alone_and_beside_others() -> None:
    cells = Grid(init=["he_normal", "zeros", "normal(std=1)"], seed=range(2), **AXES).cells
    cells = sorted(cells, key=lambda cell: cell.seed)
    together = train_chunk(cells, SPARSE, torch.device("cpu"))
    for cell, result in zip(cells, together, strict=True):
        (alone,) = train_chunk([cell], SPARSE, torch.device("cpu"))
        assert np.array_equal(result.losses, alone.losses, equal_nan=True)
        mine, other = pd.DataFrame(result.layers), pd.DataFrame(alone.layers)
        pd.testing.assert_frame_equal(mine, other, check_exact=True)


def test_a_minibatch_of_more_samples_than_short_integers_count() -> None:
    count = 40_000
    inputs, x = _pair(torch.randint(0, 200, (count,), generator=torch.Generator().manual_seed(4)))
    cells = Grid(init="he_normal", lr=0.1).cells
    rule = OPTIMIZERS["sgd"].rule(torch.zeros(FEATURES, 1, 2), 1, cells)
    delta = torch.arange(count, dtype=torch.float32).div(count).expand(2, -1)
    rule.begin_step()
    inputs.accumulate(rule, delta)
    rule.end_step()
    wanted = (x.double().mT @ delta.double().mT).view(FEATURES, 1, 2)
    np.testing.assert_allclose(rule.values, -wanted, rtol=1e-3, atol=1e-2)


def test_images_of_more_pixels_than_can_be_numbered_keep_their_zeros() -> None:
    wide = torch.zeros((3, 2**16 + 1), dtype=torch.uint8)
    assert not leaves_out_zeros(sort_columns(wide))
    widest = sort_columns(wide[:, :-1].index_fill(1, torch.tensor([2**16 - 1]), 9))
    assert leaves_out_zeros(widest)
    assert widest.nonzero.columns.tolist() == [0, 0, 0]  # the only one that is used comes first


def test_pixels_beyond_short_integers_are_read_and_written() -> None:
    columns = sort_columns(torch.ones((32, 40_000), dtype=torch.uint8))
    columns = replace(columns, stored=columns.stored.clone())
    columns.stored[:, :39_000] = 0
    inputs = SparseInputs(columns.nonzero, np.arange(32), 40_000)
    weight, out = torch.arange(40_000.0).view(-1, 1), torch.empty(1, 32)
    inputs.multiply(weight, out)
    wanted = weight[39_000:].sum().div(255).expand(1, 32)
    torch.testing.assert_close(out, wanted)
