"""Fill recurrent layers: orthogonal matrices per gate, and gates that start open."""

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError, check_finite, check_int
from init_bench.hooks.random_streams import stream
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameter_roles import gates_of
from init_bench.init.whole_model.parameters import NamedParameter


def recurrent_(
    network: Network,
    *,
    start: str = "xavier_uniform",
    forget_bias: float = 1.0,
    longest: int | None = None,
) -> None:
    """Fill recurrent layers with an orthogonal matrix per gate, LSTMs with open forget gates.

    Formula:
        W_hh of each gate orthogonal, all other weights by ``start``, of each gate with its own
        fans. Biases 0, of an LSTM's forget gate ``forget_bias``. With ``longest`` = T (chrono):
        b_f = ln u, u ~ U(1, T − 1), and b_i = −b_f; of a GRU's update gate b_z = ln u.

    Shapes:
        network: any with ``nn.LSTM``, ``nn.GRU``, ``nn.RNN`` or their cells. Torch adds two
        biases: this one is ``bias_ih``, ``bias_hh`` is 0.

    Raises:
        InitBenchError: there is no recurrent layer, ``forget_bias`` is not finite, or ``longest``
            is no integer from 3 up.

    Source:
        Saxe et al., 2013 (orthogonal); Jozefowicz, Zaremba & Sutskever, An Empirical Exploration
        of Recurrent Network Architectures, 2015 (forget bias 1); Tallec & Ollivier, Can recurrent
        neural networks warp time?, 2018, eq. 16 (chrono). Recalled.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> layer = nn.LSTM(3, 4)
        >>> report = initialize(layer, "recurrent")
        >>> layer.bias_ih_l0.view(4, 4)[:, 0].tolist()  # input, forget, cell, output
        [0.0, 1.0, 0.0, 0.0]
    """
    check_finite(forget_bias, "forget_bias")
    if longest is not None:
        check_int(longest, "longest", minimum=3)
    found = [p for p in network.parameters.values() if _is_recurrent(p.module)]
    if not found:
        raise InitBenchError("recurrent found no nn.LSTM, nn.GRU, nn.RNN nor one of their cells")
    network.start(start)
    for parameter in found:
        if parameter.role == "weight" and "weight_hh" in parameter.attribute:
            network.fill(parameter, "orthogonal", "of each gate")
        elif "bias_ih" in parameter.attribute and gates_of(_as_recurrent(parameter)) > 1:
            _open(network, parameter, forget_bias, longest)


def _is_recurrent(module: nn.Module) -> bool:
    return isinstance(module, nn.RNNBase | nn.RNNCellBase)


def _as_recurrent(parameter: NamedParameter) -> nn.RNNBase | nn.RNNCellBase:
    module = parameter.module
    assert isinstance(module, nn.RNNBase | nn.RNNCellBase)
    return module


def _open(
    network: Network, parameter: NamedParameter, forget_bias: float, longest: int | None
) -> None:
    """Write the biases of gates; torch's order is i, f, g, o in an LSTM and r, z, n in a GRU."""
    is_lstm = gates_of(_as_recurrent(parameter)) == 4
    if not is_lstm and longest is None:
        return
    values = torch.zeros_like(parameter.values)
    gates = values.chunk(4 if is_lstm else 3)
    note = f"forget gate {forget_bias:g}"
    gates[1].fill_(forget_bias)
    if longest is not None:
        gates[1].copy_(_memory(network, parameter, longest, gates[1]))
        note = f"remembers 1 to {longest - 1} steps"
        if is_lstm:
            gates[0].copy_(-gates[1])
    network.write(parameter, values, "recurrent", note)


def _memory(network: Network, parameter: NamedParameter, longest: int, like: Tensor) -> Tensor:
    if like.is_meta:
        return like
    draws = torch.empty(like.shape).uniform_(
        1, longest - 1, generator=stream(network.seed, parameter.name)
    )
    return draws.log()
