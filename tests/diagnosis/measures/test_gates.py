"""Gates inside LSTM, GRU, their cells and GLU are judged as gates that are written out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

import init_bench as ib

X, Y = torch.randn(32, 6, 8, generator=torch.Generator().manual_seed(2)), torch.arange(32) % 3


class Gated(nn.Module):
    """A ReLU, then a layer of 16 values, each with a gate."""

    def __init__(self, how: str, bias: float) -> None:
        super().__init__()
        self.how, self.glu = how, nn.GLU()
        self.first, self.both = nn.Linear(48, 40), nn.Linear(40, 32)
        nn.init.constant_(self.both.bias[16:], bias)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.both(torch.relu(self.first(x.flatten(1))))
        if self.how == "by hand":
            value, gate = z.chunk(2, -1)
            z = value * torch.sigmoid(gate)
        else:
            z = F.glu(z) if self.how == "function" else self.glu(z)
        logits: Tensor = self.head(z)
        return logits


@pytest.mark.parametrize("how", ["by hand", "function", "module"])
@pytest.mark.parametrize(
    ("bias", "expected"),
    [(0.0, []), (-4.0, ["watch", "saturated"]), (-10.0, ["bad", "vanishing_signal"])],
)
def test_a_gate_is_judged_however_it_is_written(how: str, bias: float, expected: list[str]) -> None:
    torch.manual_seed(0)
    rows = ib.diagnose(Gated(how, bias), X, Y).verdicts.query("severity != 'ok'").head(1)
    assert rows[["severity", "verdict"]].to_numpy().flatten().tolist() == expected
    assert set(rows["layer"]) <= {"both"}
    if expected and how != "by hand":
        assert rows["advice"].item() == "its gate is shut: fill bias[16:] with 0"


class Recurrent(nn.Module):
    def __init__(self, kind: str, *, packed: bool = False) -> None:
        super().__init__()
        self.packed = packed
        self.rnn = getattr(nn, kind)(8, 10, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, torch.full((len(x),), x.shape[1]), batch_first=True)
        state = self.rnn(packed if self.packed else x)[1]
        last = state[0] if isinstance(state, tuple) else state
        logits: Tensor = self.head(torch.cat([last[-2], last[-1]], -1))
        return logits


def shut(kind: str, gate: int, bias: float, *, packed: bool = False) -> tuple[str, ...]:
    """Fill the bias of a gate of the second layer; return severity, verdict and advice."""
    torch.manual_seed(0)
    model = Recurrent(kind, packed=packed)
    nn.init.constant_(model.rnn.bias_ih_l1_reverse[10 * gate : 10 * gate + 10], bias)
    row = ib.diagnose(model, X, Y).verdicts.iloc[:2].query("severity != 'ok'").head(1)
    return tuple(row[["severity", "verdict", "advice"]].to_numpy().flatten())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("kind", "gate", "bias", "name"),
    [("LSTM", 0, -1.0, "input"), ("LSTM", 3, -1.0, "output"), ("GRU", 1, 1.0, "update")],
)
def test_a_shut_gate_of_a_recurrent_layer_is_found_with_its_bias(
    kind: str, gate: int, bias: float, name: str, packed: bool
) -> None:
    rows = f"l1_reverse[{10 * gate}:{10 * gate + 10}]"
    advice = f"its {name} gate is shut: fill bias_ih_{rows} and bias_hh_{rows} with 0"
    assert shut(kind, gate, 5 * bias, packed=packed) == ("watch", "saturated", advice)
    assert shut(kind, gate, 10 * bias, packed=packed) == ("bad", "vanishing_signal", advice)


@pytest.mark.parametrize(
    ("kind", "gate", "bias"), [("LSTM", 1, 1.0), ("LSTM", 1, -20.0), ("GRU", 0, -20.0)]
)
def test_gates_that_forget_or_remember_are_no_fault(kind: str, gate: int, bias: float) -> None:
    assert shut(kind, gate, bias) == ()


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_that_are_meant_for_long_sequences_are_no_fault(kind: str) -> None:
    x, model = X.repeat(1, 70, 1), Recurrent(kind)
    ib.initialize(model, "recurrent(longest=400)")
    assert "saturated" not in set(ib.diagnose(model, x, Y).verdicts["verdict"])


class Looped(nn.Module):
    """A loop over the steps of a sequence: a cell, or a layer that sees one step at a time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(8, 10)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for step in x.unbind(1):
            if isinstance(self.cell, nn.RNNBase):
                state = self.cell(step.unsqueeze(0), state)[1]
            else:
                state = self.cell(step, state)
        last = state[0] if isinstance(state, tuple) else state
        logits: Tensor = self.head(last.flatten(0, -2))
        return logits


@pytest.mark.parametrize(
    ("kind", "gate", "bias", "name"),
    [
        ("LSTMCell", 0, -1.0, "input"),
        ("LSTMCell", 3, -1.0, "output"),
        ("GRUCell", 1, 1.0, "update"),
    ],
)
def test_a_shut_gate_of_a_cell_is_found_with_its_bias(
    kind: str, gate: int, bias: float, name: str
) -> None:
    rows = f"[{10 * gate}:{10 * gate + 10}]"
    advice = f"its {name} gate is shut: fill bias_ih{rows} and bias_hh{rows} with 0"
    for factor, expected in {
        0: [],
        5: ["watch", "saturated"],
        10: ["bad", "vanishing_signal"],
    }.items():
        torch.manual_seed(0)
        model = Looped(kind)
        nn.init.constant_(model.cell.bias_ih[10 * gate : 10 * gate + 10], factor * bias)
        row = ib.diagnose(model, X, Y).verdicts.query("severity != 'ok'").head(1)
        found = row[["severity", "verdict", "layer", "advice"]].to_numpy().flatten().tolist()
        assert found == [*expected, "cell", advice] if expected else not found


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "LSTM", "GRU"])
def test_gates_of_a_loop_that_are_meant_for_long_sequences_are_no_fault(kind: str) -> None:
    x, model = X.repeat(1, 20, 1), Looped(kind)
    memory = torch.full((10,), 4.8)  # log(T - 1): a state that is kept for the T = 120 steps
    with torch.no_grad():
        bias = next(value for name, value in model.cell.named_parameters() if "bias_hh" in name)
        bias[10:20] = memory  # of the forget gate, or the update gate
        if "LSTM" in kind:
            bias[:10] = -memory
    assert "saturated" not in set(ib.diagnose(model, x, Y).verdicts["verdict"])
