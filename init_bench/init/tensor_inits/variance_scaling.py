"""Fill so that the variance of the signal stays level: std = gain / √fan."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from init_bench.activations.gains import calculate_gain
from init_bench.errors import check_finite, lookup
from init_bench.init.tensor_inits.checks import check_draws, warn_if_empty, writable
from init_bench.init.tensor_inits.distributions import DISTRIBUTIONS
from init_bench.init.tensor_inits.fans import fans

Mode = Literal["fan_in", "fan_out", "fan_avg"]


Distribution = Literal["normal", "uniform", "truncated_normal"]


def variance_scaling_(
    tensor: Tensor,
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "truncated_normal",
    *,
    fans: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place with variance ``scale / fan``.

    Formula:
        Var[W_ij] = scale / n with n = fan_in, fan_out or their mean (``fan_avg``);
        ``truncated_normal`` is cut at ±2 standard deviations of the uncut normal, whose std is
        made 1/0.8796 larger so that the variance is as stated.

    The truncated normal is drawn by the inverse of its distribution function, in float32 for
    half types too: z = √2 erf⁻¹(u), with u uniform on a grid of 2²⁴ numbers. Next to the cut
    neighboring values of z lie 1.2e-6 standard deviations apart, where float32 itself could
    hold 2.4e-7; variance and fourth moment of that grid are right to 1e-6. ``trunc_normal_``
    draws normal numbers again and again instead, and is slower.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``; fans count the kernel's positions.
        fans: fan_in and fan_out where the shape does not show them; ``module_fans`` does.

    Raises:
        InitBenchError: ``scale`` is negative or not finite, ``mode`` or ``distribution`` is
            unknown, or ``tensor`` has fewer than two dimensions.

    Source:
        ``jax.nn.initializers.variance_scaling`` and Keras' ``VarianceScaling``, whose words
        these are.

    Example:
        >>> import torch
        >>> from init_bench.init import variance_scaling_
        >>> w = variance_scaling_(torch.empty(400, 800), 2.0, generator=torch.Generator())
        >>> round(w.var().item() * 800, 2)
        2.0
    """
    gain = math.sqrt(check_finite(scale, "scale", minimum=0))
    return _scaled_(tensor, gain, mode, distribution, generator, fans)


def lecun_normal_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place from N(0, 1/fan_in). The book calls this one "Xavier".

    Formula:
        std = 1 / √fan_in: a sum of fan_in inputs of variance 1 has variance 1.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``tensor`` has fewer than two dimensions.

    Source:
        LeCun et al., Efficient BackProp, 1998, eq. 16; Saito, 2016, sec. 6.2.2 as "Xavier".

    Example:
        >>> import torch
        >>> from init_bench.init import lecun_normal_
        >>> w = lecun_normal_(torch.empty(400, 100), generator=torch.Generator())
        >>> round(w.std().item(), 2)
        0.1
    """
    return _scaled_(tensor, 1.0, "fan_in", "normal", generator)


def lecun_uniform_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place from U(−√(3/fan_in), √(3/fan_in)).

    Formula:
        std = 1 / √fan_in.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``tensor`` has fewer than two dimensions.

    Source:
        LeCun et al., Efficient BackProp, 1998, eq. 16.

    Example:
        >>> import torch
        >>> from init_bench.init import lecun_uniform_
        >>> w = lecun_uniform_(torch.empty(40, 300), generator=torch.Generator())
        >>> w.abs().max().item() <= 0.1
        True
    """
    return _scaled_(tensor, 1.0, "fan_in", "uniform", generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place from N(0, gain² · 2/(fan_in + fan_out)).

    Formula:
        std = gain · √(2 / (fan_in + fan_out)), a compromise between a level signal (fan_in)
        and a level gradient (fan_out). Equal to ``lecun_normal_`` on square layers only.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``gain`` is not finite, or ``tensor`` has fewer than two dimensions.

    Source:
        Glorot & Bengio, 2010, eq. 12.

    Example:
        >>> import torch
        >>> from init_bench.init import xavier_normal_
        >>> w = xavier_normal_(torch.empty(300, 500), generator=torch.Generator())
        >>> round(w.std().item(), 2)
        0.05
    """
    return _scaled_(tensor, check_finite(gain, "gain", minimum=0), "fan_avg", "normal", generator)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place from U(−b, b) with b = gain · √(6/(fan_in + fan_out)).

    Formula:
        std = gain · √(2 / (fan_in + fan_out)).

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``gain`` is not finite, or ``tensor`` has fewer than two dimensions.

    Source:
        Glorot & Bengio, 2010, eq. 16.

    Example:
        >>> import torch
        >>> from init_bench.init import xavier_uniform_
        >>> w = xavier_uniform_(torch.empty(300, 300), generator=torch.Generator())
        >>> w.abs().max().item() <= 0.1
        True
    """
    return _scaled_(tensor, check_finite(gain, "gain", minimum=0), "fan_avg", "uniform", generator)


def he_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place from N(0, gain²/fan).

    ReLU zeroes half of a centered signal; twice the variance makes up for it, so the second
    moment stays level from layer to layer.

    Formula:
        std = gain / √fan; gain = √(2/(1 + a²)) for a (leaky) ReLU of negative slope ``a``,
        √2 at the default; for other nonlinearities the one ``calculate_gain`` returns.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``mode`` or ``nonlinearity`` is unknown, ``a`` is not finite, or
            ``tensor`` has fewer than two dimensions.

    Source:
        He et al., Delving Deep into Rectifiers, 2015, eq. 10 (and 15 for ``a``).

    Example:
        >>> import torch
        >>> from init_bench.init import he_normal_
        >>> w = he_normal_(torch.empty(400, 800), nonlinearity="relu", generator=torch.Generator())
        >>> round(w.std().item(), 2)
        0.05
    """
    _scaled_(tensor, calculate_gain(nonlinearity, a), mode, "normal", generator)
    warn_if_empty(tensor)
    return tensor


def he_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place from U(−b, b) with b = gain · √(3/fan).

    Formula:
        std = gain / √fan, gain as in ``he_normal_``.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: as ``he_normal_``.

    Source:
        He et al., Delving Deep into Rectifiers, 2015, eq. 10.

    Example:
        >>> import torch
        >>> from init_bench.init import he_uniform_
        >>> w = he_uniform_(torch.empty(40, 600), nonlinearity="relu", generator=torch.Generator())
        >>> w.abs().max().item() <= 0.1
        True
    """
    _scaled_(tensor, calculate_gain(nonlinearity, a), mode, "uniform", generator)
    warn_if_empty(tensor)
    return tensor


def _scaled_(
    tensor: Tensor,
    gain: float,
    mode: str,
    distribution: str,
    generator: torch.Generator | None,
    known: tuple[int, int] | None = None,
) -> Tensor:
    """Fill ``tensor`` with std = gain / √fan; the arithmetic every named initializer shares."""
    check_draws(tensor)
    scaled = lookup(_STD, str(mode).lower(), kind="mode")
    draw = lookup(DISTRIBUTIONS, distribution, kind="distribution")
    if tensor.numel():
        draw(writable(tensor), scaled(gain, *(known or fans(tensor))), generator)
    return tensor


# The same arithmetic, in the same order, as torch.nn.init: the last bit of std is torch's.
_STD: dict[str, Callable[[float, int, int], float]] = {
    "fan_in": lambda gain, fan_in, fan_out: gain / math.sqrt(fan_in),
    "fan_out": lambda gain, fan_in, fan_out: gain / math.sqrt(fan_out),
    "fan_avg": lambda gain, fan_in, fan_out: gain * math.sqrt(2.0 / (fan_in + fan_out)),
}


# torch's names for the same functions
kaiming_normal_ = he_normal_


kaiming_uniform_ = he_uniform_
