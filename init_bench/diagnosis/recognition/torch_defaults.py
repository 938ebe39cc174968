"""Say what torch itself writes when it builds a module, parameter by parameter."""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from init_bench.activations.recognition import NORMS, TABLES
from init_bench.diagnosis.recognition.distributions import NORMAL, UNIFORM, Family, Sample
from init_bench.init.tensor_inits.fans import fans

Draws = tuple[Family, float]
"""A distribution and its standard deviation."""


_ATTENTION = {
    "in_proj_weight",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
    "bias_k",
    "bias_v",
}


def is_default(module: nn.Module, name: str, values: Tensor) -> bool:
    """Return whether torch, building ``module``, could have given its parameter these values.

    Example:
        >>> layer = nn.MultiheadAttention(8, 2)
        >>> all(is_default(layer, name, p.detach()) for name, p in layer.named_parameters(recurse=False))
        True
    """  # noqa: E501
    default = default_of(module, name, values)
    if isinstance(default, float):
        return bool((values == torch.tensor(default, dtype=values.dtype)).all())
    if default is None:
        return False
    family, std = default
    return family.could_be(Sample.of(values), std)


def default_of(module: nn.Module, name: str, values: Tensor) -> float | Draws | None:
    """Return the constant that torch writes, or what it draws from, ``None`` where neither.

    ``values`` gives the shape alone and may be on the meta device.

    Example:
        >>> layer = nn.LayerNorm(8)
        >>> default_of(layer, "weight", layer.weight), default_of(layer, "bias", layer.bias)
        (1.0, 0.0)
    """
    constant = _constant(module, name)
    return _draws(module, name, values) if constant is None else constant


def _constant(module: nn.Module, name: str) -> float | None:
    """Return the constant that torch writes, ``None`` where it draws or nothing is known."""
    if isinstance(module, NORMS):
        return {"weight": 1.0, "bias": 0.0}.get(name)
    if isinstance(module, nn.PReLU) and name == "weight":
        return float(module.init)
    attention = isinstance(module, nn.MultiheadAttention) and name == "in_proj_bias"
    if attention or (isinstance(module, NonDynamicallyQuantizableLinear) and name == "bias"):
        return 0.0
    return None


def _draws(module: nn.Module, name: str, values: Tensor) -> Draws | None:
    """Return what torch draws from, ``None`` where it does not or nothing is known."""
    if isinstance(module, TABLES):
        return (NORMAL, 1.0) if name == "weight" else None
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return _within(1 / math.sqrt(module.hidden_size))
    if isinstance(module, nn.MultiheadAttention) and name in _ATTENTION:
        std = math.sqrt(2 / sum(fans(values)))
        return (NORMAL if name in ("bias_k", "bias_v") else UNIFORM), std
    if name not in ("weight", "bias"):
        return None
    if isinstance(module, nn.Bilinear):
        return _within(1 / math.sqrt(module.in1_features))
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        return _within(1 / math.sqrt(fans(module.weight)[0]))
    return None


def _within(bound: float) -> Draws:
    return UNIFORM, bound / math.sqrt(3)
