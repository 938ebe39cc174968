"""Start the scales of a model's own normalization layers, which do not say how they start."""

import copy
import inspect

import torch
from torch import Tensor, nn

from init_bench.activations.recognition import is_dyt
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter

DYT_ALPHA = 0.5
"""The factor inside tanh that DyT starts with (Zhu et al., 2025, read in no code)."""


def start_norms(network: Network) -> None:
    """Let the scales and biases of a model's own norms start so that they change nothing.

    Torch's norms say so themselves. Of others, as LlamaRMSNorm, a trial tells whether the output
    is multiplied by the scale, or by 1 + scale.
    """
    for parameter in network.parameters.values():
        if parameter.role != "left" or parameter.why:
            continue
        if is_dyt(parameter.module):
            start = {"alpha": DYT_ALPHA, "weight": 1.0}.get(parameter.attribute, 0.0)
            network.fill(parameter, f"constant(value={start!r})", "of DyT")
        elif _is_of_own_norm(parameter) and (neutral := _neutral(parameter)) is not None:
            network.fill(parameter, "ones" if neutral else "zeros", "of a norm")


def _is_of_own_norm(parameter: NamedParameter) -> bool:
    is_vector = parameter.values.dim() == 1 and parameter.attribute in ("weight", "bias")
    return is_vector and "Norm" in type(parameter.module).__name__


def _neutral(parameter: NamedParameter) -> float | None:
    """Return the value that changes nothing; ``None`` where no trial tells."""
    if parameter.attribute == "bias":
        return 0.0
    length = parameter.values.shape[0]
    try:
        trial = copy.deepcopy(parameter.module).to_empty(device="cpu").float()
        with torch.no_grad():
            for own in trial.parameters():
                own.zero_()
            row = torch.linspace(-1, 1, 2 * length, device="cpu").view(2, length)
            output: Tensor = trial(*[row] * _required(trial))
    except Exception:  # whatever the user's norm asks for
        return None
    return 0.0 if output.any() else 1.0


def _required(module: nn.Module) -> int:
    """Return how many arguments the module cannot do without: a gate beside the signal is one."""
    parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(1, sum(p.kind in positional and p.default is p.empty for p in parameters))
