"""Fill with sines, or with an identity that is repeated, noisy or not: starts proposed in 2025."""

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


def tanh_init_(
    tensor: Tensor, noise: float = 0.085, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place with a repeated identity and a little noise, for deep tanh networks.

    Formula:
        W = D + Z, D_ij = 1 if i = j (mod n_in), else 0; Z_ij ~ N(0, noise² / n_in), noise = 0.085.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, n_in counts the kernel.

    Raises:
        InitBenchError: ``noise`` is negative, or ``tensor`` has fewer than two dimensions.

    Source:
        Lee, Choi & Kim, Robust Weight Initialization for Tanh Neural Networks with Fixed Point
        Analysis, 2025 (abstract and a summary with W, sigma_z and 0.085 read; D is recalled).

    Example:
        >>> import torch
        >>> from init_bench.init import tanh_init_
        >>> w = tanh_init_(torch.empty(6, 3), generator=torch.Generator())
        >>> torch.equal(w.round()[3:].abs(), torch.eye(3))
        True
    """
    check_draws(tensor)
    check_dimensions(tensor, range(2, 65), "tanh_init_")
    noise = check_finite(noise, "noise", minimum=0)
    if not tensor.numel() or tensor.is_meta:
        return tensor
    rows, columns = len(tensor), tensor.numel() // len(tensor)
    drawn = tensor.new_empty((rows, columns), dtype=torch.float32)
    drawn.normal_(std=noise * columns**-0.5, generator=generator)
    drawn[torch.arange(rows), torch.arange(rows) % columns] += 1
    writable(tensor).copy_(drawn.view(tensor.shape))
    return tensor


def repeated_identity(rows: int, columns: int) -> Tensor:
    """Return the matrix whose entries are 1 where i = j modulo the smaller side, else 0.

    Example:
        >>> repeated_identity(2, 4).tolist()
        [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    short = min(rows, columns)
    i, j = torch.arange(rows)[:, None] % short, torch.arange(columns) % short
    return (i == j).float()
