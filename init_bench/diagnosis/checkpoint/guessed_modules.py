"""Guess from names and shapes which module of torch a tensor of a state dict belongs to."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

Shape = tuple[int, ...]


_CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
"""By the number of dimensions of the weight."""


_CELLS = {1: nn.RNNCell, 3: nn.GRUCell, 4: nn.LSTMCell}
"""By the number of gates."""


_RECURRENT = re.compile(r"(weight|bias)_(ih|hh)(.*)")


_ORIGINAL = re.compile(r"(?:(.*)\.)?parametrizations\.(\w+)\.original1?")
"""What ``torch.nn.utils.parametrize`` calls a weight as it was drawn; ``weight_norm`` adds a 1."""


def home_of(name: str) -> tuple[str, str]:
    """Return the path of the module that a tensor belongs to, and the tensor's name there.

    Example:
        >>> home_of("fc.weight"), home_of("fc.parametrizations.weight.original")
        (('fc', 'weight'), ('fc', 'weight'))
    """
    if match := _ORIGINAL.fullmatch(name):
        return match[1] or "", match[2]
    path, _, attribute = name.rpartition(".")
    return path, attribute


def stand_ins(shapes: Mapping[str, Shape]) -> dict[str, nn.Module]:
    """Return for each tensor a module on the meta device that could hold it.

    A linear layer or a convolution where a ``weight`` has two to five dimensions, a recurrent
    cell, an attention, else a bare module. Groups and transposition do not show in a shape.

    Example:
        >>> stand_ins({"fc.weight": (3, 2), "fc.bias": (3,)})["fc.bias"]
        Linear(in_features=2, out_features=3, bias=True)
    """
    layers: dict[str, dict[str, Shape]] = {}
    homes = {name: home_of(name) for name in shapes}
    for name, (path, attribute) in homes.items():
        layers.setdefault(path, {})[attribute] = shapes[name]
    return {name: _stand_in(attribute, layers[path]) for name, (path, attribute) in homes.items()}


def _stand_in(attribute: str, beside: Mapping[str, Shape]) -> nn.Module:
    found = _recurrent(attribute, beside) or _attention(beside) or _layer(attribute, beside)
    return found or _bare(attribute, beside[attribute])


def _layer(attribute: str, beside: Mapping[str, Shape]) -> nn.Module | None:
    shape = beside.get("weight", ())
    if attribute not in ("weight", "bias") or not 2 <= len(shape) <= 5 or 0 in shape:
        return None
    bias = beside.get("bias") == shape[:1]
    if attribute == "bias" and not bias:
        return None
    n_out, n_in, *kernel = shape
    if kernel:
        kind: Any = _CONVOLUTIONS[len(shape)]
        convolution: nn.Module = kind(n_in, n_out, tuple(kernel), bias=bias, device="meta")
        return convolution
    return nn.Linear(n_in, n_out, bias=bias, device="meta")


def _recurrent(attribute: str, beside: Mapping[str, Shape]) -> nn.Module | None:
    match = _RECURRENT.fullmatch(attribute)
    hidden = beside.get(f"weight_hh{match[3]}", ()) if match else ()
    if len(hidden) != 2 or not hidden[1] or hidden[0] // hidden[1] not in _CELLS:
        return None
    cell: nn.Module = _CELLS[hidden[0] // hidden[1]](1, hidden[1], device="meta")
    _hold(cell, attribute, beside[attribute])
    return cell


def _attention(beside: Mapping[str, Shape]) -> nn.Module | None:
    shape = beside.get("in_proj_weight", ())
    fits = len(shape) == 2 and shape[1] and shape[0] == 3 * shape[1]
    return nn.MultiheadAttention(shape[1], 1, device="meta") if fits else None


def _bare(attribute: str, shape: Shape) -> nn.Module:
    module = nn.Module()
    _hold(module, attribute, shape)
    return module


def _hold(module: nn.Module, attribute: str, shape: Shape) -> None:
    module._parameters[attribute] = nn.Parameter(torch.empty(shape, device="meta"))
