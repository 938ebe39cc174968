"""Initialisers that look at nothing: one value, or draws of a fixed scale."""

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, finite


def constant_(tensor: Tensor, value: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place with ``value``.

    Formula:
        W_ij = value. All units of a layer are equal and get equal updates: symmetry never
        breaks.

    Shapes:
        tensor: any.

    Raises:
        InitBenchError: ``value`` is not a finite number.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2.1 (as what not to do).

    Example:
        >>> constant_(torch.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    value = finite(value, "value")
    with torch.no_grad():
        return tensor.fill_(value)


def zeros_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place with 0.

    Formula:
        W_ij = 0.

    Shapes:
        tensor: any.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2.1 (as what not to do).

    Example:
        >>> zeros_(torch.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill ``tensor`` in place with 1.

    Formula:
        W_ij = 1.

    Shapes:
        tensor: any.

    Source:
        The usual start of a normalisation's scale: Ioffe & Szegedy, 2015, sec. 3.

    Example:
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
        >>> w = normal_(torch.empty(400, 100), std=0.01, generator=torch.Generator())
        >>> round(w.std().item(), 4)
        0.01
    """
    mean, std = finite(mean, "mean"), finite(std, "std", minimum=0)
    with torch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


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
        >>> w = uniform_(torch.empty(1000), -1, 1, generator=torch.Generator())
        >>> -1 <= w.min().item() < w.max().item() < 1
        True
    """
    a, b = finite(a, "a"), finite(b, "b")
    if a > b:
        raise InitBenchError(f"a must not exceed b, got a={a:g}, b={b:g}")
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)
