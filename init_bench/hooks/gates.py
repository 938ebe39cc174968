"""Measure how far the gates inside torch's LSTM, GRU and GLU are open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

POSITIONS = 4096
"""Positions of a batch of sequences whose gates are computed, every k-th of more."""


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
        self, index: int, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Note the gates of the layer call of this index; those of a GLU are the layer's before."""
        given: Any = args[0] if args else kwargs.get("input")
        if isinstance(module, nn.GLU):
            self._note(index - 1, glu_gate(given, module.dim))
        elif isinstance(module, nn.LSTM | nn.GRU):
            for gate in recurrent_gates(module, given):
                self._note(index, gate)

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
    module: nn.LSTM | nn.GRU, given: Tensor | nn.utils.rnn.PackedSequence
) -> Iterator[tuple[str, str, Tensor]]:
    """Yield name, bias and opening of the gates through which a signal enters and leaves.

    Each position counts as a first step, from a state of zeros; later ones keep its gates. With
    them, in T steps (the length of the sequences) a constant input c arrives in the state as

    - LSTM: i (1 + f + … + f^(T-1)) c, its input gate; the output gate lets o of it out;
    - GRU: (1 - z^T) c, its update gate.

    So a gate may be shut for a step if the state is kept as long, as biases for long sequences
    are. The forget and the reset gate are not judged: shut, they only forget.

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
    for layer in range(module.num_layers):
        states = []
        for direction in ("", "_reverse")[: 1 + module.bidirectional]:
            step = _lstm_step if isinstance(module, nn.LSTM) else _gru_step
            state, openings = step(module, f"l{layer}{direction}", x, steps)
            states.append(state)
            for gate, part, opening in openings:
                yield gate, _rows_of(module, f"l{layer}{direction}", part), opening.clamp(max=1)
        x = torch.cat(states, -1)


Openings = list[tuple[str, int, Tensor]]
"""Name of each gate, which block of the weights' rows it is, and its opening."""


def _lstm_step(module: nn.Module, at: str, x: Tensor, steps: int) -> tuple[Tensor, Openings]:
    blocks = (_product(module, f"ih_{at}", x) + _bias(module, f"hh_{at}")).chunk(4, -1)
    enters, keeps, leaves = (blocks[part].sigmoid() for part in (0, 1, 3))
    state = leaves * torch.tanh(enters * blocks[2].tanh())
    projection: Tensor | None = getattr(module, f"weight_hr_{at}", None)
    if projection is not None:
        state = state @ projection.float().t()
    lost = (1 - keeps).clamp(min=1e-6)
    arrives = enters * (1 - (1 - lost) ** steps) / lost
    return state, [("input gate", 0, arrives), ("output gate", 3, leaves)]


def _gru_step(module: nn.Module, at: str, x: Tensor, steps: int) -> tuple[Tensor, Openings]:
    given = _product(module, f"ih_{at}", x).chunk(3, -1)
    reset, update, new = (_bias(module, f"hh_{at}").expand(3 * given[0].shape[-1])).chunk(3, -1)
    keeps = (given[1] + update).sigmoid()
    state = (1 - keeps) * torch.tanh(given[2] + (given[0] + reset).sigmoid() * new)
    return state, [("update gate", 1, 1 - keeps**steps)]


def _product(module: nn.Module, at: str, x: Tensor) -> Tensor:
    weight: Tensor = getattr(module, f"weight_{at}")
    return x @ weight.float().t() + _bias(module, at)


def _bias(module: nn.Module, at: str) -> Tensor:
    found: Tensor = getattr(module, f"bias_{at}", torch.zeros(1))
    return found.float()


def _positions(
    module: nn.LSTM | nn.GRU, given: Tensor | nn.utils.rnn.PackedSequence
) -> tuple[Tensor, int]:
    """Return the inputs as (positions, features), and the length of the sequences."""
    if isinstance(given, nn.utils.rnn.PackedSequence):
        x, steps = given.data, len(given.batch_sizes)
    else:
        steps = given.shape[1 if module.batch_first and given.dim() == 3 else 0]
        x = given.flatten(0, -2)
    return x[:: len(x) // POSITIONS + 1].float(), steps


def _rows_of(module: nn.LSTM | nn.GRU, at: str, part: int) -> str:
    rows = f"{at}[{part * module.hidden_size}:{(part + 1) * module.hidden_size}]"
    return f"bias_ih_{rows} and bias_hh_{rows}" if module.bias else f"weight_ih_{rows}"
