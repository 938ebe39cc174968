"""The gates that are read out of torch's recurrent layers are those that it computes with."""

import pytest
import torch
from torch import nn

from init_bench.hooks.gates import recurrent_gates

X = torch.randn(7, 1, 3, generator=torch.Generator().manual_seed(0))
"""Sequences of a single step."""


def test_the_last_output_gate_of_an_lstm_is_that_of_torch() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)
    _, (state, cell) = lstm(X)
    *_, forward, _, backward = (opening for _, _, opening in recurrent_gates(lstm, X))
    openings = torch.stack([forward, backward])
    torch.testing.assert_close(openings, state[-2:] / cell[-2:].tanh())


def test_the_last_update_gate_of_a_gru_is_that_of_torch() -> None:
    torch.manual_seed(0)
    gru = nn.GRU(3, 4, num_layers=2, batch_first=True)
    # New values of 1, of which the state takes 1 - z.
    nn.init.constant_(gru.get_parameter("bias_ih_l1")[8:], 100.0)
    *_, last = (opening for _, _, opening in recurrent_gates(gru, X))
    torch.testing.assert_close(last, gru(X)[1][-1])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_gates_of_a_cell_are_those_of_the_layer(kind: str, bias: bool) -> None:
    torch.manual_seed(0)
    layer, cell = getattr(nn, kind)(3, 4, bias=bias), getattr(nn, f"{kind}Cell")(3, 4, bias=bias)
    cell.load_state_dict({name[:-3]: value for name, value in layer.state_dict().items()})
    x = X.transpose(0, 1)
    of_layer = list(recurrent_gates(layer, x.expand(5, -1, -1)))
    of_cell = list(recurrent_gates(cell, x[0], calls=5))
    for (gate, rows, opening), (of, its_rows, its) in zip(of_layer, of_cell, strict=True):
        assert (gate, rows.replace("_l0", "")) == (of, its_rows)
        torch.testing.assert_close(opening, its.repeat(5, 1))
