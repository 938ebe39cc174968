"""Draw from the distributions of variance scaling, each with mean 0 and a given std."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

TRUNCATED_STD = 0.8796256610342398
"""Std of a standard normal cut at ±2: √(1 - 4 φ(2) / (2 Φ(2) - 1))."""


def _normal_(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    return tensor.normal_(0.0, std, generator=generator)


def _uniform_(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    parts = 2 if tensor.is_complex() else 1  # real and imaginary: E|w|² is std²
    bound = math.sqrt(3.0 / parts) * std
    return tensor.uniform_(-bound, bound, generator=generator)


def _truncated_normal_(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    """Draw by the inverse of the distribution function, then clamp what rounding put outside."""
    if tensor.dtype.itemsize < 4:
        return tensor.copy_(_truncated_normal_(tensor.float(), std, generator))
    std /= TRUNCATED_STD
    tensor.uniform_(-_EDGE, _EDGE, generator=generator).erfinv_()
    return tensor.mul_(math.sqrt(2.0) * std).clamp_(-2 * std, 2 * std)


_EDGE = math.erf(2 / math.sqrt(2.0))


DISTRIBUTIONS: dict[str, Callable[[Tensor, float, torch.Generator | None], Tensor]] = {
    "normal": _normal_,
    "uniform": _uniform_,
    "truncated_normal": _truncated_normal_,
}
"""By name: fill a tensor in place with this std."""
