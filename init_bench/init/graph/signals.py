"""Carry mean and variance of signals through the traced graph of a model, analytically."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from init_bench.activations.moments import GaussianMoments
from init_bench.activations.recognition import FUNCTION_NAMES, is_dyt, is_nonlinearity
from init_bench.activations.torch_others import TORCH_OTHERS
from init_bench.init.graph.node_inputs import function_name
from init_bench.init.graph.structure import is_norm


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Describe the values of a tensor over samples, positions and units.

    Attributes:
        mean, variance: of all its values.
        assumed: in words, what had to be assumed on the way.
    """

    mean: float = 0.0
    variance: float = 1.0
    assumed: frozenset[str] = frozenset()

    @property
    def square(self) -> float:
        """Return the mean of the squares."""
        return self.variance + self.mean**2

    def assuming(self, *words: str) -> "Signal":
        """Return the signal with more assumptions."""
        return replace(self, assumed=self.assumed | set(words))

    def times(self, factor: float) -> "Signal":
        """Return the signal multiplied by a number."""
        return replace(self, mean=self.mean * factor, variance=self.variance * factor**2)


_PASSING = frozenset(
    "view reshape flatten transpose permute contiguous getitem chunk split squeeze unsqueeze "
    "expand to type float dropout dropout1d dropout2d t movedim swapaxes clone detach unflatten "
    "repeat_interleave repeat roll flip pad alpha_dropout unbind narrow select".split()
)
"""Functions that move values or leave them."""


_PASSING_MODULES = (
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.modules.dropout._DropoutNd,
    nn.Upsample,
    nn.PixelShuffle,
)
"""Modules that move values or leave them."""


_ELEMENTWISE = FUNCTION_NAMES - {n for n, phi in TORCH_OTHERS.items() if not phi.elementwise}
"""Nonlinearities whose outputs depend on one input each."""


_POOLS = (nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd)
_MAXIMA = (nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd)


def after_module(module: nn.Module, signal: Signal) -> Signal:
    """Return the signal behind a module without weights to scale.

    Example:
        >>> found = after_module(nn.ReLU(), Signal())
        >>> round(found.mean, 4), round(found.square, 4)
        (0.3989, 0.5)
    """
    if is_dyt(module):
        alpha = float(module.alpha.detach())  # type: ignore[operator]
        return _through(lambda a: (alpha * a).tanh(), signal)
    if is_norm(module) or isinstance(module, nn.modules.batchnorm._NormBase):
        return replace(signal, mean=0.0, variance=1.0)
    if isinstance(module, _PASSING_MODULES):
        return signal
    if is_nonlinearity(module):
        return _through(module, signal)
    if isinstance(module, nn.GLU):
        return _gated(signal)
    if isinstance(module, _POOLS):
        return signal.assuming("averages keep the variance: neighbors count as equal")
    if isinstance(module, _MAXIMA):
        return signal.assuming("maxima keep mean and variance")
    kind = type(module).__name__
    return Signal(assumed=signal.assumed | {f"behind {kind} mean 0, variance 1"})


def after_function(node: fx.Node, inputs: list[Signal]) -> Signal:
    """Return the signal behind a function or method, from those of its inputs."""
    name, assumed = function_name(node), _all_assumed(inputs)
    numbers = [float(x) for x in node.args if isinstance(x, int | float)]
    if not inputs:
        return Signal().assuming(f"{name or node.name} of mean 0, variance 1")
    first = inputs[0]
    if name in _PASSING:
        return first
    if name == "glu":
        return _gated(first)
    if name in _ELEMENTWISE and len(inputs) == 1:
        return _through(_function(node), first)
    if name in ("add", "iadd", "sub", "isub"):
        return replace(_sum(node, inputs, numbers, -1 if "sub" in name else 1), assumed=assumed)
    if name in ("mul", "imul", "truediv", "div"):
        return replace(_product(name, node, inputs, numbers), assumed=assumed)
    if name == "neg":
        return first.times(-1)
    if name in ("cat", "stack"):
        return replace(_mixture(inputs), assumed=assumed)
    if name == "mean":
        return first.assuming("averages keep the variance: neighbors count as equal")
    if name in ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm"):
        return replace(first, mean=0.0, variance=1.0)
    if name == "scaled_dot_product_attention":
        return inputs[-1].assuming("attention passes its values on")
    return Signal(assumed=assumed | {f"behind {name or node.name} mean 0, variance 1"})


def _all_assumed(inputs: list[Signal]) -> frozenset[str]:
    return frozenset[str]().union(*(signal.assumed for signal in inputs))


def _through(phi: Callable[..., Any], signal: Signal) -> Signal:
    mean, variance = GaussianMoments(phi).shifted(signal.mean, signal.variance)
    if not math.isfinite(mean + variance):
        return signal.assuming("a nonlinearity that keeps mean and variance")
    return replace(signal, mean=mean, variance=variance)


def _gated(signal: Signal) -> Signal:
    """Return the signal behind a GLU: one half times the sigmoid of the other."""
    gate = _through(torch.sigmoid, signal)
    return replace(_times(signal, gate), assumed=signal.assumed)


def _times(first: Signal, second: Signal) -> Signal:
    """Return the product of independent signals."""
    mean = first.mean * second.mean
    return Signal(mean=mean, variance=first.square * second.square - mean**2)


def _function(node: fx.Node) -> Callable[..., Any]:
    """Return the nonlinearity that ``node`` calls, with its other arguments."""
    rest, words = node.args[1:], {k: v for k, v in node.kwargs.items() if k != "inplace"}
    target: Any = node.target
    if node.op == "call_method":
        return lambda a: getattr(a, target)(*rest, **words)
    return lambda a: target(a, *rest, **words)


def _sum(node: fx.Node, inputs: list[Signal], numbers: list[float], sign: int) -> Signal:
    first = inputs[0]
    if len(inputs) == 1 and not numbers:
        return first.times(1 + sign)  # x + x
    if len(inputs) == 1:
        if sign < 0 and _begins_with_number(node):
            return replace(first, mean=numbers[0] - first.mean)
        return replace(first, mean=first.mean + sign * numbers[0])
    second = inputs[1].times(sign)
    return Signal(mean=first.mean + second.mean, variance=first.variance + second.variance)


def _begins_with_number(node: fx.Node) -> bool:
    return isinstance(node.args[0], int | float)


def _product(name: str, node: fx.Node, inputs: list[Signal], numbers: list[float]) -> Signal:
    first = inputs[0]
    divides = "div" in name
    if divides and (len(inputs) > 1 or not numbers or _begins_with_number(node)):
        return Signal().assuming("a quotient of mean 0, variance 1")
    if len(inputs) == 1 and numbers:
        return first.times(1 / numbers[0] if divides and numbers[0] else numbers[0])
    if len(inputs) == 1:  # x * x: E x⁴ of a normal x
        return Signal(
            mean=first.square, variance=2 * first.variance**2 + 4 * first.mean**2 * first.variance
        )
    return _times(first, inputs[-1])


def _mixture(inputs: list[Signal]) -> Signal:
    mean = sum(signal.mean for signal in inputs) / len(inputs)
    square = sum(signal.square for signal in inputs) / len(inputs)
    return Signal(mean=mean, variance=square - mean**2)
