"""Fill at the edge of chaos, where depth neither merges inputs nor tears them apart."""

import functools
import math

import torch
from torch import Tensor

from init_bench.activations.critical import critical_line
from init_bench.errors import check_finite
from init_bench.init.tensor_inits.checks import check_draws, writable
from init_bench.init.tensor_inits.fans import fans


def critical_normal_(
    tensor: Tensor,
    nonlinearity: str = "tanh",
    sigma_b2: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place at the mean-field critical point of ``nonlinearity``.

    There χ₁ = 1: the gradient's size stays level over depth, and two inputs approach each other
    slower than at any rate per layer. The point depends on the variance of the biases, so these
    are part of it: a tensor of one dimension is a bias and is filled from N(0, σ_b²).
    ``initialize`` does that for the biases beside each weight.

    Formula:
        W_ij ~ N(0, σ_w²/fan_in), b_i ~ N(0, σ_b²), with σ_w² such that σ_w² E[φ'(√q z)²] = 1 at
        the fixed point q = σ_w² E[φ(√q z)²] + σ_b². For relu at σ_b² = 0: he_normal.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``, or ``(n_out,)`` for a bias.

    Raises:
        InitBenchError: ``nonlinearity`` is unknown, depends on several pre-activations (glu), or
            has no critical point at ``sigma_b2`` (softplus at none; gelu, silu and mish at small
            ones; relu at any but 0).

    Source:
        Schoenholz et al., Deep information propagation, 2017; Hayou et al., On the impact of the
        activation function on deep neural networks training, 2019. ``theory.critical_line``.

    Example:
        >>> import torch
        >>> from init_bench.init import critical_normal_
        >>> draws = torch.Generator().manual_seed(0)
        >>> w = critical_normal_(torch.empty(400, 500), "tanh", 0.05, generator=draws)
        >>> round(w.var().item() * 500, 2)
        1.76
        >>> b = critical_normal_(torch.empty(9000), "tanh", 0.05, generator=draws)
        >>> round(b.var().item(), 2)
        0.05
    """
    check_draws(tensor)
    sigma_b2 = check_finite(sigma_b2, "sigma_b2", minimum=0)
    sigma_w2 = _critical_line(nonlinearity, sigma_b2)
    if tensor.dim() == 1:
        variance = sigma_b2
    else:
        variance = sigma_w2 / fans(tensor)[0] if tensor.numel() else 0.0
    writable(tensor).normal_(0.0, math.sqrt(variance), generator=generator)
    return tensor


@functools.lru_cache
def _critical_line(nonlinearity: str, sigma_b2: float) -> float:
    """Return σ_w², computed once for all layers of a network."""
    return critical_line(nonlinearity, sigma_b2=sigma_b2)
