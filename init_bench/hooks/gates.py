"""Measure how far the gates inside torch's LSTM, GRU, their cells and GLU are open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.layer_call import LayerCall

POSITIONS = 4096
"""Positions of a batch of sequences whose gates are computed, every k-th of more."""


GATED = nn.GLU | nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell
"""Layers of torch's that have gates inside."""


@dataclass(frozen=True)
class GateCall:
    """Describe one gate of one call.

    Attributes:
        index: of the layer call that the gate belongs to, 0 where there is none.
        gate: its name, as a sentence has it.
        bias: what is to be changed to open it.
        opening: the share of a constant signal that it lets through, mean over units and samples.
    """

    index: int
    gate: str
    bias: str
    opening: float


class GateCalls:
    """Note the gates that a model computes inside a function or a layer of torch's."""

    def __init__(self) -> None:
        self.calls: list[GateCall] = []

    def observe(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, after: int
    ) -> None:
        """Note ``glu(signal, dim=-1)``, called after the layer call of this index."""
        if name == "glu":
            self._note(after, glu_gate(*args, **kwargs))

    def note_module(
        self, call: LayerCall, module: GATED, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Note the gates of a layer call; those of a GLU are the layer's before."""
        given: Any = args[0] if args else kwargs.get("input")
        if isinstance(module, nn.GLU):
            self._note(call.index - 1, glu_gate(given, module.dim))
        else:
            for gate in recurrent_gates(module, given, calls=call.call):
                self._note(call.index, gate)

    def _note(self, index: int, gate: tuple[str, str, Tensor]) -> None:
        name, bias, opening = gate
        self.calls.append(GateCall(index, name, bias, opening.float().mean().item()))


def glu_gate(input: Tensor, dim: int = -1) -> tuple[str, str, Tensor]:
    """Return name, bias and opening σ(b) of the gate b, the second half of a GLU's input.

    Example:
        >>> name, bias, opening = glu_gate(torch.zeros(2, 6))
        >>> name, bias, opening.mean().item()
        ('gate', 'bias[3:]', 0.5)
    """
    gate = input.chunk(2, dim)[1]
    return "gate", f"bias[{gate.shape[dim]}:]", gate.float().sigmoid()


def recurrent_gates(
    module: nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell,
    given: Tensor | nn.utils.rnn.PackedSequence,
    *,
    calls: int = 1,
) -> Iterator[tuple[str, str, Tensor]]:
    """Yield name, bias and opening of the gates through which a signal enters and leaves.

    Each position counts as a first step, from a state of zeros; later ones keep its gates. With
    them, in T steps (the length of the sequences, 1 of a cell, times ``calls``) a constant input c
    arrives in the state as

    - LSTM: i (1 + f + … + f^(T-1)) c, its input gate; the output gate lets o of it out;
    - GRU: (1 - z^T) c, its update gate.

    So a gate may be shut for a step if the state is kept as long, as biases for long sequences
    are. The forget and the reset gate are not judged: shut, they only forget.

    Args:
        module: the layer or cell.
        given: its input.
        calls: how often it ran so far: a loop calls it for every step, or for a few at a time.

    Source:
        Tallec & Ollivier, Can recurrent neural networks warp time?, 2018, for such biases.

    Example:
        >>> gru = nn.GRU(3, 2)
        >>> for parameter in gru.parameters():
        ...     _ = nn.init.zeros_(parameter)
        >>> for gate, bias, opening in recurrent_gates(gru, torch.ones(2, 1, 3)):
        ...     print(gate, bias, opening.mean().item())
        update gate bias_ih_l0[2:4] and bias_hh_l0[2:4] 0.75
    """
    x, steps = _positions(module, given)
    step = _lstm_step if isinstance(module, nn.LSTM | nn.LSTMCell) else _gru_step
    for suffixes in _suffixes(module):
        states = []
        for suffix in suffixes:
            state, openings = step(module, suffix, x, calls * steps)
            states.append(state)
            for gate, part, opening in openings:
                yield gate, _rows_of(module, suffix, part), opening.clamp(max=1)
        x = torch.cat(states, -1)


def _suffixes(module: nn.RNNBase | nn.RNNCellBase) -> Iterator[tuple[str, ...]]:
    """Yield by layer the ends of its parameters' names, one per direction."""
    if isinstance(module, nn.RNNCellBase):
        yield ("",)
        return
    for layer in range(module.num_layers):
        yield (f"_l{layer}", f"_l{layer}_reverse")[: 1 + module.bidirectional]


Openings = list[tuple[str, int, Tensor]]
"""Name of each gate, which block of the weights' rows it is, and its opening."""


def _lstm_step(module: nn.Module, suffix: str, x: Tensor, steps: int) -> tuple[Tensor, Openings]:
    blocks = (_product(module, f"ih{suffix}", x) + _bias(module, f"hh{suffix}")).chunk(4, -1)
    enters, keeps, leaves = (blocks[part].sigmoid() for part in (0, 1, 3))
    state = leaves * torch.tanh(enters * blocks[2].tanh())
    projection: Tensor | None = getattr(module, f"weight_hr{suffix}", None)
    if projection is not None:
        state = state @ projection.float().t()
    lost = (1 - keeps).clamp(min=1e-6)
    arrives = enters * (1 - (1 - lost) ** steps) / lost
    return state, [("input gate", 0, arrives), ("output gate", 3, leaves)]


def _gru_step(module: nn.Module, suffix: str, x: Tensor, steps: int) -> tuple[Tensor, Openings]:
    given = _product(module, f"ih{suffix}", x).chunk(3, -1)
    reset, update, new = (_bias(module, f"hh{suffix}").expand(3 * given[0].shape[-1])).chunk(3, -1)
    keeps = (given[1] + update).sigmoid()
    state = (1 - keeps) * torch.tanh(given[2] + (given[0] + reset).sigmoid() * new)
    return state, [("update gate", 1, 1 - keeps**steps)]


def _product(module: nn.Module, name: str, x: Tensor) -> Tensor:
    weight: Tensor = getattr(module, f"weight_{name}")
    return x @ weight.float().t() + _bias(module, name)


def _bias(module: nn.Module, name: str) -> Tensor:
    weight: Tensor = getattr(module, f"weight_{name}")
    found: Tensor | None = getattr(module, f"bias_{name}", None)
    return (weight.new_zeros(1) if found is None else found).float()


def _positions(
    module: nn.RNNBase | nn.RNNCellBase, given: Tensor | nn.utils.rnn.PackedSequence
) -> tuple[Tensor, int]:
    """Return the inputs as (positions, features), and the length of the sequences."""
    if isinstance(given, nn.utils.rnn.PackedSequence):
        x, steps = given.data, len(given.batch_sizes)
    else:
        x, steps = given.reshape(-1, given.shape[-1]), 1
        if isinstance(module, nn.RNNBase):
            steps = given.shape[1 if module.batch_first and given.dim() == 3 else 0]
    return x[:: len(x) // POSITIONS + 1].float(), steps


def _rows_of(module: nn.RNNBase | nn.RNNCellBase, suffix: str, part: int) -> str:
    rows = f"{suffix}[{part * module.hidden_size}:{(part + 1) * module.hidden_size}]"
    return f"bias_ih{rows} and bias_hh{rows}" if module.bias else f"weight_ih{rows}"
