"""The gain that a layer's weights want: that of the nonlinearity that runs behind it."""

import copy
import functools
import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from init_bench.activations import ACTIVATIONS
from init_bench.mean_field import Nonlinearity

TABLES = (nn.Embedding, nn.EmbeddingBag)
"""Modules whose weight is looked up, multiplies nothing and wants no gain."""

_NOT_ELEMENTWISE = ("MultiheadAttention", "Softmax", "Softmax2d", "LogSoftmax", "GLU", "Softmin")


def gain_of(module: nn.Module) -> float:
    """Return 1 / √E[φ'(a)²], a ~ N(0, 1): the gain that keeps gradients level through φ.

    nan for what is no elementwise nonlinearity of torch's.

    Example:
        >>> round(gain_of(nn.ReLU()), 3), round(gain_of(nn.Tanh()), 2)
        (1.414, 1.47)
    """
    if not is_nonlinearity(module) or isinstance(module, nn.PReLU):
        return math.nan
    # A copy, as in training RReLU draws; its class's forward, as the module may bear hooks.
    phi = functools.partial(type(module).forward, copy.copy(module).eval())
    square = float(Nonlinearity(phi).slope_moment(1.0))
    return 1 / math.sqrt(square) if square > 0 else math.nan


def is_nonlinearity(module: nn.Module) -> bool:
    """Return whether ``module`` is one of torch's elementwise nonlinearities."""
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" and (
        kind.__name__ not in _NOT_ELEMENTWISE
    )


def _functional_gain(name: str) -> float:
    """Return the gain of a nonlinearity called as a function, nan off the menu."""
    return gain_of(ACTIVATIONS[name].module()) if name in ACTIVATIONS else math.nan


def wanted_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
    """Return by layer the gain that the nonlinearity behind it asks for."""
    wanted: dict[str, float] = {}
    waiting: list[str] = []
    for path in order:
        _, called, name = path.partition(":")
        if called:
            wanted |= dict.fromkeys(waiting, _functional_gain(name))
            waiting = []
            continue
        module = modules[path]
        if is_nonlinearity(module):
            wanted |= dict.fromkeys(waiting, gain_of(module))
            waiting = []
            continue
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, TABLES):
            waiting = [path]
    return wanted | dict.fromkeys(waiting, 1.0)
