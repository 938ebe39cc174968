"""Fill with one value, or with draws of a fixed scale."""

import math

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.tensor_inits.checks import check_draws, check_target, writable


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill ``tensor`` in place with ``val``, which a spec string calls ``value``.

    Formula:
        W_ij = value. All units of a layer are equal and get equal updates: symmetry never
        breaks.

    Shapes:
        tensor: any.

    Raises:
        InitBenchError: ``val`` is not a number that ``tensor`` can hold.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2.1 (as what not to do).

    Example:
        >>> import torch
        >>> from init_bench.init import constant_
        >>> constant_(torch.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    check_target(tensor)
    try:
        writable(tensor).fill_(val)
    except (TypeError, RuntimeError, OverflowError) as cause:
        raise InitBenchError(
            f"constant_ needs a number that {tensor.dtype} holds, got {val!r} for a tensor of "
            f"shape {tuple(tensor.shape)}"
        ) from cause
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Fill ``tensor`` in place with 0.

    Formula:
        W_ij = 0.

    Shapes:
        tensor: any.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2.1 (as what not to do).

    Example:
        >>> import torch
        >>> from init_bench.init import zeros_
        >>> zeros_(torch.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill ``tensor`` in place with 1.

    Formula:
        W_ij = 1.

    Shapes:
        tensor: any.

    Source:
        The usual start of a normalization's scale: Ioffe & Szegedy, 2015, sec. 3.

    Example:
        >>> import torch
        >>> from init_bench.init import ones_
        >>> ones_(torch.empty(2))
        tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place from N(mean, std²), the same for every layer.

    Formula:
        W_ij ~ N(mean, std²).

    Shapes:
        tensor: any.

    Raises:
        InitBenchError: ``mean`` or ``std`` is not finite, or ``std`` is negative.

    Source:
        Krizhevsky et al., 2012, sec. 5 (std = 0.01); Saito, 2016, sec. 6.2.2.

    Example:
        >>> import torch
        >>> from init_bench.init import normal_
        >>> w = normal_(torch.empty(400, 100), std=0.01, generator=torch.Generator())
        >>> round(w.std().item(), 4)
        0.01
    """
    check_draws(tensor)
    mean, std = check_finite(mean, "mean"), check_finite(std, "std", minimum=0)
    writable(tensor).normal_(mean, std, generator=generator)
    return tensor


def uniform_(
    tensor: Tensor,
    a: float = 0.0,
    b: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place from U(a, b), the same for every layer.

    Formula:
        W_ij ~ U(a, b), of mean (a + b) / 2 and std (b - a) / √12.

    Shapes:
        tensor: any.

    Raises:
        InitBenchError: ``a`` or ``b`` is not finite, or ``a`` > ``b``.

    Source:
        ``torch.nn.init.uniform_``, whose arguments these are.

    Example:
        >>> import torch
        >>> from init_bench.init import uniform_
        >>> w = uniform_(torch.empty(1000), -1, 1, generator=torch.Generator())
        >>> -1 <= w.min().item() < w.max().item() < 1
        True
    """
    check_draws(tensor)
    a, b = check_finite(a, "a"), check_finite(b, "b")
    if a > b:
        raise InitBenchError(f"a must not exceed b, got a={a:g}, b={b:g}")
    writable(tensor).uniform_(a, b, generator=generator)
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill ``tensor`` in place from N(mean, std²) cut at ``a`` and ``b``, bit for bit as torch.

    The cut makes the std smaller: 0.88 at the defaults. ``variance_scaling_`` corrects for that
    and is many times faster.

    Formula:
        W_ij ~ N(mean, std²) given a ≤ W_ij ≤ b, the ends in units of W, not of std.

    Shapes:
        tensor: any.

    Raises:
        InitBenchError: ``mean`` is not finite, ``std`` is not positive, ``a`` ≥ ``b``, or an
            end is infinite where less than 0.3 of the distribution lies between the two.

    Source:
        ``torch.nn.init.trunc_normal_``, which this calls.

    Example:
        >>> import torch
        >>> from init_bench.init import trunc_normal_
        >>> w = trunc_normal_(torch.empty(400, 100), generator=torch.Generator())
        >>> round(w.std().item(), 2), w.abs().max().item() <= 2
        (0.88, True)
    """
    check_draws(tensor)
    mean, std = check_finite(mean, "mean"), check_finite(std, "std", minimum=0)
    if not std or not a < b or math.isnan(a) or math.isnan(b):
        raise InitBenchError(f"need std > 0 and a < b, got std={std:g}, a={a!r}, b={b!r}")
    try:
        return nn.init.trunc_normal_(tensor, mean, std, a, b, generator)
    except RuntimeError as cause:
        raise InitBenchError(
            f"trunc_normal_ cannot draw a {tensor.dtype} tensor of shape {tuple(tensor.shape)} "
            f"with mean={mean:g}, std={std:g}, a={a:g}, b={b:g}: {cause}"
        ) from cause
