"""Compute gains: the factor over 1/√fan that weights need because a nonlinearity φ follows.

Three definitions, which agree for relu, leaky_relu and linear alone:

- ``calculate_gain``: torch's convention, as papers use it (tanh: 5/3). Initializers take it.
- ``exact_gain``: 1 / √E[φ(z)²]. Keeps the signal's second moment level, forward (tanh: 1.59).
- ``gradient_gain``: 1 / √E[φ'(z)²]. Keeps the gradient's second moment level, backward
  (tanh: 1.47). ``diagnose`` recommends it.

z ~ N(0, 1) throughout.
"""

import copy
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.activations.moments import GaussianMoments, Phi
from init_bench.activations.recognition import is_nonlinearity
from init_bench.activations.torch_others import TORCH_OTHERS
from init_bench.errors import InitBenchError, check_finite, lookup


def calculate_gain(
    nonlinearity: str | Callable[[Any], Any], param: float | None = None, *, exact: bool = False
) -> float:
    """Return the gain for ``nonlinearity``: torch's convention, or the exact one.

    Formula:
        By convention 1 for linear, identity, sigmoid and convolutions; 5/3 for tanh; √2 for relu;
        √(2/(1 + param²)) for leaky_relu of negative slope ``param``, 0.01 if not given; 3/4 for
        selu. Exact: 1 / √E[φ(z)²], z ~ N(0, 1), which keeps a second moment of 1 from layer to
        layer. Activations of the menu that torch has no convention for get the exact gain.

    Args:
        nonlinearity: a name of torch's, a name on the menu of activations, or any elementwise
            function of a tensor, which gets the exact gain: to rounding if it is smooth but at 0,
            else to about 1e-3 (1e-2 if it jumps), unless an ``Activation`` names its kinks.
        param: the negative slope of leaky_relu; others take none and, as torch, ignore it.
        exact: take the exact gain where there is a convention, too.

    Raises:
        InitBenchError: ``nonlinearity`` is unknown, is no elementwise function, or is 0 almost
            everywhere; ``param`` is not a finite number.

    Source:
        ``torch.nn.init.calculate_gain``; He et al., Delving Deep into Rectifiers, 2015, eq. 10,
        for the exact gain of relu.

    Example:
        >>> round(calculate_gain("tanh"), 4), round(calculate_gain("tanh", exact=True), 4)
        (1.6667, 1.5925)
        >>> round(calculate_gain("gelu"), 4), round(calculate_gain(lambda a: a.relu()), 4)
        (1.5335, 1.4142)
    """
    if not isinstance(nonlinearity, str):
        return exact_gain(nonlinearity)
    if nonlinearity not in _CONVENTIONS:
        lookup({**_CONVENTIONS, **ACTIVATIONS}, nonlinearity, kind="nonlinearity")
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else check_finite(param, "the slope of leaky_relu")
        # E[φ²] = (1 + slope²)/2: convention and exact gain are the same.
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity in _LINEAR or (nonlinearity in _CONVENTIONS and not exact):
        return _CONVENTIONS[nonlinearity]
    return exact_gain(nonlinearity)


_CONVOLUTIONS = [f"conv{way}{n}d" for way in ("", "_transpose") for n in (1, 2, 3)]


_LINEAR = dict.fromkeys(["linear", "identity", *_CONVOLUTIONS], 1.0)


_CONVENTIONS = {
    **_LINEAR,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def exact_gain(activation: Phi) -> float:
    """Return 1 / √E[φ(z)²], z ~ N(0, 1): weights of this gain keep a second moment of 1.

    Raises:
        InitBenchError: φ is unknown, no elementwise function, or 0 almost everywhere.

    Source:
        He et al., Delving Deep into Rectifiers, 2015, eq. 10, for any φ.

    Example:
        >>> round(exact_gain("relu") ** 2, 12), round(exact_gain("gelu"), 4)
        (2.0, 1.5335)
    """
    moment = float(GaussianMoments(activation).second_moment(1.0))
    if not 0 < moment < np.inf:
        raise InitBenchError(f"no gain: E[φ(z)²] of this activation is {moment:g}, z ~ N(0, 1)")
    return 1 / math.sqrt(moment)


def gradient_gain(module: nn.Module) -> float:
    """Return 1 / √E[φ'(a)²], a ~ N(0, 1): the gain that keeps gradients level through φ.

    nan for a module that is no elementwise nonlinearity, or has parameters or buffers.

    Example:
        >>> round(gradient_gain(nn.ReLU()), 3), round(gradient_gain(nn.Tanh()), 2)
        (1.414, 1.47)
    """
    learned = any(True for _ in itertools.chain(module.parameters(), module.buffers()))
    if learned or not is_nonlinearity(module):
        return math.nan
    # A copy, as in training RReLU draws; its class's forward, as the module may bear hooks.
    evaluated = copy.copy(module)
    evaluated.training = False
    phi = functools.partial(type(module).forward, evaluated)
    square = float(GaussianMoments(phi).slope_moment(1.0))
    return 1 / math.sqrt(square) if square > 0 else math.nan


def gradient_gain_of_function(name: str) -> float:
    """Return ``gradient_gain`` of one of torch's functions with its default arguments.

    nan where there are no defaults: of prelu and threshold.

    Example:
        >>> gradient_gain_of_function("relu6") == gradient_gain(nn.ReLU6())
        True
    """
    record = ACTIVATIONS.get(name) or TORCH_OTHERS.get(name)
    return gradient_gain(record.module()) if record and name != "threshold" else math.nan
