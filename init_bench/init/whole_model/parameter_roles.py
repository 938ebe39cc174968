"""Tell what each parameter of a module is for: by torch's classes, else by how it is used."""

import copy
from typing import Literal

from torch import Tensor, nn

from init_bench.activations.recognition import TABLES
from init_bench.hooks.trial_run import uses_by_trial
from init_bench.hooks.weight_uses import WeightUse

Role = Literal["weight", "bias", "reset", "left"]


_LAYERS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, *TABLES)
"""Classes whose ``weight`` says by its place what it is."""


_STACKED = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
"""Classes of several weights."""


MOST_VALUES = 2**28
"""Values of a module of the meta device that get memory for a trial run."""


_CONTAINERS = (nn.ParameterList, nn.ParameterDict)
"""Classes of torch's that use no parameter themselves."""


def is_weight(module: nn.Module, name: str, value: Tensor) -> bool:
    """Return whether a parameter is a matrix: no bias, table of biases or single token.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> is_weight(layer, "weight", layer.weight), is_weight(layer, "bias", layer.bias)
        (True, False)
    """
    if value.dim() < 2 or "bias" in name:
        return False
    if is_known(module, name):
        return True
    is_matrix = value.shape[0] > 1 and (value.dim() == 2 or value[0].numel() > 1)
    return is_matrix and (isinstance(module, _CONTAINERS) or not _derives_from_torchs(module))


def is_known(module: nn.Module, name: str) -> bool:
    """Return whether the class of ``module`` says what its weight ``name`` is.

    Example:
        >>> is_known(nn.Linear(2, 3), "weight"), is_known(nn.ParameterList(), "0")
        (True, False)
    """
    return (isinstance(module, _LAYERS) and name == "weight") or isinstance(module, _STACKED)


def is_bias(module: nn.Module, name: str, beside: set[str]) -> bool:
    """Return whether a parameter of a module with weights is a bias, which starts at 0.

    Of a user's own module it must bear the name of a weight, or none: ``bias``, ``w1_bias``; what a
    ``dt_bias`` does, nobody said.
    """
    if "bias" not in name:
        return False
    if _derives_from_torchs(module):
        return True
    stem = name.replace("bias", "").strip("_")
    weights = {weight.replace("weight", "").strip("_") for weight in beside}
    return getattr(module, name).dim() == 1 and (not stem or stem in weights)


def can_reset(module: nn.Module) -> bool:
    """Return whether ``module`` says itself how its own parameters start."""
    return hasattr(module, "reset_parameters") or hasattr(module, "_reset_parameters")


def gates_of(module: nn.RNNBase | nn.RNNCellBase) -> int:
    """Return how many gates a recurrent layer stacks: 4 of an LSTM, 3 of a GRU, else 1."""
    return {"LSTM": 4, "GRU": 3}.get(getattr(module, "mode", type(module).__name__[:-4]), 1)


def reason_to_keep(module: nn.Module, value: Tensor, use: WeightUse | None, *, known: bool) -> str:
    """Return why an initializer leaves a parameter as it is, empty where it fills it.

    Args:
        module: that holds it.
        value: the parameter.
        use: how it is used; ``None`` where that is not known.
        known: whether its module's class says what it is.
    """
    if not _is_number(value):
        return f"holds {str(value.dtype).removeprefix('torch.')} values"
    if getattr(value, "_no_reinit", False):
        return "marked _no_reinit"
    if known:
        return ""
    if use is not None:
        return "" if use.kind != "scale" else f"no sum runs over it ({use.function.strip('_')})"
    beside = (*module._parameters.values(), *module._buffers.values())
    if any(x is not None and x.dim() > 1 and not _is_number(x) for x in beside):
        return "beside integer values, as the scale of a quantized weight"
    if not value.requires_grad:
        return "frozen, and not seen in use"
    return "marked _no_weight_decay" if getattr(value, "_no_weight_decay", False) else ""


class UsesInModel:
    """Find how the parameters of a model are used, by trial runs of the modules around them."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.of_module: dict[str, dict[str, WeightUse]] = {}

    def find(self, path: str, name: str) -> WeightUse | None:
        """Return the use of parameter ``name`` of the module at ``path``, ``None`` if unknown.

        Its own module comes first, then those around it.
        """
        inside = name
        while True:
            if (use := self._of(path).get(inside)) is not None:
                return use
            if not path:
                return None
            path, _, last = path.rpartition(".")
            inside = f"{last}.{inside}"

    def _of(self, path: str) -> dict[str, WeightUse]:
        if path not in self.of_module:
            module = self.model.get_submodule(path)
            runs = getattr(type(module), "forward", None) is not nn.Module.forward
            self.of_module[path] = uses_by_trial(_with_memory(module)) if runs else {}
        return self.of_module[path]


def _with_memory(module: nn.Module) -> nn.Module:
    """Return a module of the meta device with memory, unless that is much: trials tell apart by
    their addresses what the weights flow into."""
    values = list(module.parameters())
    if not any(value.is_meta for value in values):
        return module
    if sum(value.numel() for value in values) > MOST_VALUES:
        return module
    return copy.deepcopy(module).to_empty(device="cpu")


def _is_number(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _derives_from_torchs(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("torch.nn.modules") for kind in type(module).__mro__[:-2])
