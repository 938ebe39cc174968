"""Measure how fast the weights of a network would change, relative to their size."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.utils import parametrize

from init_bench.hooks.nested_tensors import tensors_in
from init_bench.init.batch_inits.affine_layers import Affine
from init_bench.init.whole_model.network_editor import Network


def rates_of_change(network: Network, layers: Iterable[Affine]) -> dict[Affine, float]:
    """Return the rate at which a random linear loss of the output would change each layer.

    Layers without one, which the batch does not reach or whose weight is 0, are left out. The
    loss is the same at every call: its draws, and dropout's, come from one stream.

    Formula:
        √(mean (∂ℓ/∂W)² / mean W²), ℓ = Σ η z over the numbers z of the output, η ~ N(0, 1).

    Raises:
        InitBenchError: the batch does not fit.
    """
    layers = list(layers)
    if not layers:
        return {}
    with (
        network.preserved_state(),
        torch.enable_grad(),
        _requiring_grad(layers),
        parametrize.cached(),
    ):
        outputs = [z for z in tensors_in(network.run()) if z.requires_grad]
        if not outputs:
            return {}
        loss = torch.stack([(torch.randn(z.shape).to(z) * z).sum() for z in outputs]).sum()
        weights = [layer.weight.parameter for layer in layers]
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    rates = {
        layer: (gradient.square().mean() / weight.detach().square().mean()).sqrt().item()
        for layer, weight, gradient in zip(layers, weights, gradients, strict=True)
    }
    return {layer: rate for layer, rate in rates.items() if 0 < rate < math.inf}


def geometric_mean(values: Iterable[float]) -> float:
    """Return exp of the mean logarithm.

    Example:
        >>> round(geometric_mean([1.0, 4.0]), 6)
        2.0
    """
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


@contextmanager
def _requiring_grad(layers: Iterable[Affine]) -> Iterator[None]:
    """Let the weights take gradients, frozen ones too."""
    frozen = [p for layer in layers for p in layer.module.parameters() if not p.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
