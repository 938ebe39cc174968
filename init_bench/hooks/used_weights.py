"""Measure weights as a layer uses them, and the constants by which its signal is multiplied."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from init_bench.hooks.contraction import Contraction
from init_bench.hooks.layer_call import LayerCall, UsedWeight
from init_bench.hooks.weight_uses import factor_of, operands
from init_bench.statistics.compared import EffectiveRanks
from init_bench.statistics.layer_statistics import describe_weight, rms

MOST_OF_A_STACK = 8
"""Matrices of a stack whose equal units are counted."""


CLOSE = 0.02
"""Relative difference that the ε of a normalization may make."""


def used_weight(found: Contraction, gain: float, *, learned: bool) -> UsedWeight:
    """Return what a contraction multiplies by: its gain, and how many of its units differ.

    Of a stack of matrices, as of experts, heads or groups, the one of which the smallest share of
    units differ: equal matrices are no fault, as a router or what follows tells them apart.
    """
    by_axis = [[i for i, a in enumerate(found.axes) if a == kind] for kind in ("stack", "out")]
    stack, outputs = by_axis[0] + by_axis[1][:-1], by_axis[1][-1:]  # heads or experts: one each
    rest = [i for i, axis in enumerate(found.axes) if axis in ("in", "kernel")]
    weight = found.weight.detach()
    real = weight if weight.is_floating_point() else weight.abs().float()
    units = math.prod(weight.shape[i] for i in outputs) // found.groups
    terms = math.prod(weight.shape[i] for i in rest)
    if not units or not terms or not learned:
        return UsedWeight(gain, units, math.nan)
    matrices = real.permute(*stack, *outputs, *rest).reshape(-1, units, terms)
    unasked = EffectiveRanks()  # never filled
    some = matrices[:MOST_OF_A_STACK]
    distinct = [describe_weight(matrix, unasked)["distinct"] for matrix in some]
    return UsedWeight(gain, units, min(distinct, default=math.nan))


@dataclass
class _Scaled:
    """Hold by what a tensor was multiplied since ``call`` returned it, or since it was made."""

    factor: float
    call: LayerCall | None


class ConstantFactors:
    """Follow by which constants signals are multiplied before and after layers."""

    def __init__(self) -> None:
        self.scaled: Any = WeakIdKeyDictionary()

    def observe(self, function: object, args: Sequence[Any], output: object) -> None:
        """Note a product with a number; the factor after a layer is that of its output so far."""
        factor = factor_of(getattr(function, "__name__", ""), args)
        if factor is None or not isinstance(output, Tensor):
            return
        signal = next((x for x in operands(args) if x in self.scaled), None)
        before = _Scaled(1.0, None) if signal is None else self.scaled[signal]
        self.scaled[output] = _Scaled(before.factor * factor, before.call)
        if before.call is not None:
            before.call.factor_after = before.factor * factor

    def before(self, inputs: object) -> float:
        """Return by what the first floating-point tensor of a layer's inputs was multiplied."""
        tensors = (x for x in operands((inputs,)) if isinstance(x, Tensor))
        first = next((x for x in tensors if x.is_floating_point() or x.is_complex()), None)
        return self.scaled[first].factor if first is not None and first in self.scaled else 1.0

    def follow(self, output: Tensor, call: LayerCall) -> None:
        """Follow the output of a layer."""
        self.scaled[output] = _Scaled(1.0, call)


def is_scale_free(module: torch.nn.Module, args: tuple[Any, ...], output: Tensor) -> bool:
    """Return whether ``module`` gives the same output for four times the input: it normalizes."""
    first = args[0] if args else None
    if not isinstance(first, Tensor) or first.shape != output.shape or output.numel() < 2:
        return False
    if not first.is_floating_point() or not output.isfinite().all():
        return False
    try:
        again = copy.copy(module).forward(first.detach() * 4, *args[1:])
    except Exception:  # whatever the user's forward function raises
        return False
    if not isinstance(again, Tensor) or again.shape != output.shape:
        return False
    return rms(again - output) < CLOSE * rms(output)
