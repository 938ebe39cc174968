"""Measure σ_w² and σ_b² of each layer of an MLP, for mean field theory."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS, Activation
from init_bench.activations.moments import Phi
from init_bench.errors import InitBenchError, lookup
from init_bench.init import initialize
from init_bench.theory.mean_field import MeanField


def layers_of(
    widths: Sequence[int],
    init: str | float | Sequence[float],
    activation: Phi,
    sigma_b2: float | None,
    seed: int,
) -> list[MeanField]:
    """Return the mean field of each weight layer with the φ after it."""
    number = len(_checked(widths)) - 1
    if isinstance(init, str):
        variances = _measured(widths, init, activation, seed)
    else:
        sigma_w2 = [init] * number if isinstance(init, int | float) else list(init)
        if len(sigma_w2) != number:
            raise InitBenchError(
                f"{number} weight layers need as many sigma_w2, got {len(sigma_w2)}: {sigma_w2}"
            )
        variances = [(value, 0.0) for value in sigma_w2]
    return [
        MeanField(activation=activation, sigma_w2=w2, sigma_b2=b2 if sigma_b2 is None else sigma_b2)
        for w2, b2 in variances
    ]


def _measured(
    widths: Sequence[int], spec: str, activation: Phi, seed: int
) -> list[tuple[float, float]]:
    """Return σ_w² and σ_b² of every layer, as ``spec`` fills them."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for at, (n_in, n_out) in enumerate(pairwise(widths), start=1):
        parts |= {f"fc{at}": nn.Linear(n_in, n_out, device="meta"), f"act{at}": _module(activation)}
    parts.popitem()
    model = nn.Sequential(parts).to_empty(device="cpu")
    initialize(model, spec, seed=seed)
    return [variances(part, spec) for part in model if isinstance(part, nn.Linear)]


def _module(activation: Phi) -> nn.Module:
    """Return φ as a module, for an initializer that asks which φ follows a layer."""
    if isinstance(activation, str):
        activation = lookup(ACTIVATIONS, activation, kind="activation")
    return activation.module() if isinstance(activation, Activation) else nn.Identity()


def variances(layer: nn.Linear, what: str) -> tuple[float, float]:
    """Return σ_w² and σ_b² of a layer, measured on its weights and biases.

    Raises:
        InitBenchError: the weights' mean is not 0; ``what`` says whose they are.
    """
    weight = layer.weight.detach().double()
    if not has_mean_zero(weight):
        mean, std = weight.mean().item(), weight.std(correction=0).item()
        raise InitBenchError(
            f"mean field needs weights of mean 0; {what!r} draws mean {mean:.3g} ± std {std:.3g}"
        )
    bias = 0.0 if layer.bias is None else layer.bias.detach().double().square().mean().item()
    return layer.in_features * weight.square().mean().item(), bias


def has_mean_zero(values: Tensor) -> bool:
    """Return whether the mean of ``values`` is 0 as far as their number can tell.

    Example:
        >>> import torch
        >>> has_mean_zero(torch.tensor([1.0, -1.0])), has_mean_zero(torch.tensor([1.0, 1.0]))
        (True, False)
    """
    mean, std = values.mean().item(), values.std(correction=0).item()
    return abs(mean) <= 6 * std / math.sqrt(values.numel())


def _checked(widths: Sequence[int]) -> Sequence[int]:
    if len(widths) < 2 or any(not isinstance(width, int) or width < 1 for width in widths):
        raise InitBenchError(
            f"widths are integers from inputs to outputs, as [784, 100, 10], got {widths!r}"
        )
    return widths
