"""Which known rule a parameter looks like, by its moments and bounds."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from init_bench.init import fans

FEWEST = 20
"""With fewer values no distribution is named, only constants."""

SIGMAS = 4.0
"""A std fits within this many standard errors of a sample std."""

LARGEST_ORTHOGONAL = 2048
"""Rows or columns up to which W Wᵀ is formed to recognise an orthogonal weight."""

_NORMALISATIONS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_DEFAULT_UNIFORM = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)


def looks_like(module: nn.Module, own: str, values: Tensor) -> str:
    """Return the rules that could have drawn ``values``, joined by ``or``; ``other`` if none.

    A rule fits if the std found is within ``SIGMAS`` standard errors of the rule's, if the mean
    is 0 likewise, and if the largest value is inside a uniform's bounds or outside them for a
    normal. On square layers several rules are one.

    Example:
        >>> layer = nn.Linear(30, 20)
        >>> looks_like(layer, "weight", layer.weight.detach())
        'torch.default'
    """
    if not values.numel():
        return "other"
    if (values == values.flatten()[0]).all():
        return _constant(module, own, values.flatten()[0].item())
    found = list(dict.fromkeys(_rules(module, own, values)))
    return " or ".join(found) or _by_moments(values)


def _constant(module: nn.Module, own: str, value: float) -> str:
    default = isinstance(module, _NORMALISATIONS) and value == (own == "weight")
    names = {0.0: "zeros", 1.0: "ones"}
    return "torch.default" if default else names.get(value, f"constant(value={value:g})")


def _rules(module: nn.Module, own: str, values: Tensor) -> Iterator[str]:
    """Yield the names of the rules that fit."""
    bound = _default_bound(module, own)
    if bound and _fits_uniform(values, bound):
        yield "torch.default"
    if isinstance(module, _TABLES) and own == "weight" and _fits_normal(values, 1.0):
        yield "torch.default"
    if values.dim() < 2:
        return
    if _is_orthogonal(values):
        yield "orthogonal"
    fan_in, fan_out = fans(values)
    scales = {
        "he_{}": 2 / fan_in,
        "lecun_{}": 1 / fan_in,
        "xavier_{}": 2 / (fan_in + fan_out),
        "he_{}(mode='fan_out')": 2 / fan_out,
    }
    for name, variance in scales.items():
        if _fits_uniform(values, math.sqrt(3 * variance)):
            yield name.format("uniform")
        elif _fits_normal(values, math.sqrt(variance)):
            yield name.format("normal")


def _default_bound(module: nn.Module, own: str) -> float:
    """Return the bound of the uniform distribution torch fills this parameter from, 0 if none."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return 1 / math.sqrt(module.hidden_size)
    if isinstance(module, _DEFAULT_UNIFORM) and own in ("weight", "bias"):
        weight = module.weight
        first = weight.shape[1] if not isinstance(module, nn.Bilinear) else weight[0].shape[0]
        kernel = 1 if isinstance(module, nn.Bilinear) else math.prod(weight.shape[2:])
        return 1 / math.sqrt(max(1, first * kernel))
    return 0.0


def _fits_uniform(values: Tensor, bound: float) -> bool:
    inside = values.abs().max().item() <= bound * (1 + 1e-6)
    return inside and _fits(values, bound / math.sqrt(3), kurtosis=1.8)


def _fits_normal(values: Tensor, std: float) -> bool:
    outside = values.abs().max().item() > math.sqrt(3) * std * (1 + 1e-6)
    return outside and _fits(values, std, kurtosis=3.0)


def _fits(values: Tensor, std: float, kurtosis: float) -> bool:
    """Compare mean and std with those of a rule; errors of a sample of independent draws."""
    number = values.numel()
    if number < FEWEST:
        return False
    rms = values.double().square().mean().sqrt().item()
    error = math.sqrt((kurtosis - 1) / number) / 2
    central = abs(values.double().mean().item()) <= SIGMAS * std / math.sqrt(number)
    return central and abs(rms / std - 1) <= SIGMAS * error


def _is_orthogonal(values: Tensor) -> bool:
    """Return whether rows or columns are orthogonal and of one length."""
    rows = values.reshape(len(values), -1)
    rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
    if not 2 <= len(rows) <= LARGEST_ORTHOGONAL:
        return False
    gram = rows @ rows.T
    length = gram.diagonal().mean()
    return bool(
        (gram - length * torch.eye(len(gram), device=gram.device)).abs().max() < 1e-3 * length
    )


def _by_moments(values: Tensor) -> str:
    """Return a rule without fans, if the shape of the distribution is clear."""
    std, number = values.double().std(correction=0).item(), values.numel()
    if number < FEWEST or not _fits_central(values, std):
        return "other"
    ratio = values.abs().max().item() / std
    fourth = (values.double() / std).pow(4).mean().item()
    if abs(fourth - 1.8) < SIGMAS * 1.6 / math.sqrt(number) and ratio < 1.75 + 2 / number**0.5:
        return f"uniform(a={-ratio * std:.3g}, b={ratio * std:.3g})"
    if abs(fourth - 3.0) < SIGMAS * math.sqrt(24 / number):
        return f"normal(std={std:.3g})"
    return "other"


def _fits_central(values: Tensor, std: float) -> bool:
    return abs(values.double().mean().item()) <= SIGMAS * std / math.sqrt(values.numel())
