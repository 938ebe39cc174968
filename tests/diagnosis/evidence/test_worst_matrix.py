"""Layers of several matrices: the worst one counts, and all that a unit sums is one."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from init_bench.diagnosis.evidence.worst_matrix import worst_matrices
from init_bench.init import initialize


def row_of(layer: nn.Module) -> dict[Any, float]:
    with torch.no_grad():
        return worst_matrices({"layer": layer}).to_dict("records")[0]


RECURRENT: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: nn.LSTM(30, 40, num_layers=2, bidirectional=True),
    "projected": lambda: nn.LSTM(30, 40, proj_size=20),
    "gru": lambda: nn.GRU(30, 40),
    "rnn": lambda: nn.RNN(30, 40),
    "cell": lambda: nn.LSTMCell(30, 40),
}
ATTENTION: dict[str, Callable[[], nn.Module]] = {
    "packed": lambda: nn.MultiheadAttention(40, 4),
    "apart": lambda: nn.MultiheadAttention(40, 4, kdim=20, vdim=30),
}


@pytest.mark.parametrize("name", [*RECURRENT, *ATTENTION])
def test_torchs_default_is_of_sound_gain_and_every_unit_differs(name: str) -> None:
    row = row_of({**RECURRENT, **ATTENTION}[name]())
    assert 0.4 < row["weight_gain"] < 1.5
    assert row["distinct"] == row["units"]


@pytest.mark.parametrize("name", [*RECURRENT, *ATTENTION])
def test_every_matrix_is_looked_at(name: str) -> None:
    build = {**RECURRENT, **ATTENTION}[name]
    for weight in [name for name, p in build().named_parameters() if p.dim() > 1]:
        layer = build()
        layer.get_parameter(weight).data.mul_(100)
        assert row_of(layer)["weight_gain"] > 12, weight


@pytest.mark.parametrize("block", range(3))
def test_equal_queries_keys_or_values_are_equal_units(block: int) -> None:
    layer = nn.MultiheadAttention(40, 4)
    layer.in_proj_weight.data.chunk(3)[block].copy_(torch.linspace(-1, 1, 40))
    row = row_of(layer)
    assert (row["units"], row["distinct"]) == (40, 1)


def test_a_projection_of_zeros_has_gain_0_and_one_nan_has_none() -> None:
    layer = nn.MultiheadAttention(40, 4)
    nn.init.zeros_(layer.out_proj.weight)
    assert row_of(layer)["weight_gain"] == 0
    layer.out_proj.weight.data[0, 0] = torch.nan
    assert math.isnan(row_of(layer)["weight_gain"])


def test_units_of_a_gate_are_equal_only_if_all_that_they_sum_is() -> None:
    layer = nn.LSTM(30, 40)
    layer.get_parameter("weight_hh_l0").data.chunk(4)[2].fill_(0.1)
    assert row_of(layer)["distinct"] == 40
    layer.get_parameter("weight_ih_l0").data.chunk(4)[2].fill_(0.1)
    assert row_of(layer)["distinct"] == 1


def test_the_gain_is_that_of_inputs_and_states_together() -> None:
    layer = nn.GRU(50, 200)
    initialize(layer, "he_normal")
    assert row_of(layer)["weight_gain"] == pytest.approx(2, rel=0.05)  # √(2 + 2)


def test_other_layers_have_no_row() -> None:
    assert worst_matrices({"a": nn.Linear(2, 3), "b": nn.ReLU()}).empty
