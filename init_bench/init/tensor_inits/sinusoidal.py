"""Fill with sines instead of random numbers."""

import math

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.tensor_inits.checks import check_dimensions, check_draws, writable
from init_bench.init.tensor_inits.fans import fans


def sinusoidal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with one sine per output, each of its own frequency and phase.

    Nothing is drawn: every seed gives the same weight.

    Formula:
        W_ij = a sin(2π i j / n + 2π i / m), i = 1 … m outputs, j = 1 … n inputs (times positions
        of the kernel), a such that mean W² = gain² · 2 / (fan_in + fan_out).

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, as a matrix of n_out rows.

    Raises:
        InitBenchError: ``gain`` is not finite, ``tensor`` has fewer than two dimensions, or all
            sines are 0, as of 2 by 2.

    Source:
        Fernández-Hernández et al., Sinusoidal Initialization, Time for a New Start, 2025
        (abstract read; the formula is recalled).

    Example:
        >>> import torch
        >>> from init_bench.init import sinusoidal_
        >>> w = sinusoidal_(torch.empty(4, 8))
        >>> w.sum(dim=1).abs().max().item() < 1e-6, round(w.square().mean().item() * 6, 4)
        (True, 1.0)
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "sinusoidal_")
    gain = check_finite(gain, "gain")
    if not tensor.numel() or tensor.is_meta:
        return tensor
    pattern = sines(len(tensor), tensor.numel() // len(tensor))
    fan_in, fan_out = fans(tensor)
    std = gain * math.sqrt(2 / (fan_in + fan_out))
    size = pattern.square().mean().sqrt()
    if size < 1e-9:
        raise InitBenchError(
            f"sinusoidal_ has only zeros of its sines for so few outputs and inputs, got shape "
            f"{tuple(tensor.shape)}; use xavier_normal for this layer"
        )
    writable(tensor).copy_((pattern * (std / size)).view(tensor.shape))
    return tensor


def sines(rows: int, columns: int, *, first: int | None = None) -> Tensor:
    """Return sin(2π i j / n + 2π i / m), of amplitude 1, in float64; the first rows on request.

    Example:
        >>> sines(2, 4).abs().max().item() <= 1
        True
    """
    i = torch.arange(1, rows + 1, dtype=torch.float64)[:first, None]
    j = torch.arange(1, columns + 1, dtype=torch.float64)
    return torch.sin(2 * math.pi * (i * j / columns + i / rows))
