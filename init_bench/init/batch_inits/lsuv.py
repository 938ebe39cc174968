"""Fill by LSUV: scale each layer until its output has variance 1 on a batch."""

import math

from torch import Tensor

from init_bench.errors import InitBenchError, check_finite
from init_bench.init.batch_inits.affine_layers import Affine, affine_layers, while_running
from init_bench.init.whole_model.network_editor import Network

TRIES = 10
"""Rounds of rescaling, for layers with a bias that does not scale."""


def lsuv_(network: Network, *, start: str = "orthogonal", tolerance: float = 0.01) -> None:
    """Scale each linear layer and convolution until its output has variance 1 on the batch.

    One forward pass does it: a layer is linear in its weight, so its output is rescaled as the
    weight is, and later layers see the scaled signal. The model runs in the mode it is
    in (``train`` or ``eval``); running statistics and RNG states come back.

    Formula:
        W ← W / std(Wx + b) over the whole output, from orthonormal W. Exact at once where b = 0;
        else repeated until the variance is within ``tolerance`` of 1, at most 10 times.

    Shapes:
        network: any that takes the batch. Recurrent layers and weights used by more than one
        layer are left as ``start`` filled them; attention is scaled at its output projection.

    Raises:
        InitBenchError: the batch does not fit, or the output of a layer is constant or not finite.

    Source:
        Mishkin & Matas, All you need is a good init, 2016, algorithm 1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> x = torch.randn(256, 20, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
        >>> report = initialize(model, "lsuv", batch=x)
        >>> round(model(x).var(correction=0).item(), 4)
        1.0
    """
    tolerance = check_finite(tolerance, "tolerance", minimum=0)
    network.start(start)

    def normalize(layer: Affine, output: Tensor) -> Tensor:
        signal, bias = layer.split(output)
        factor = _factor(layer.path, signal, bias, tolerance)
        network.scale(layer.weight, factor, f"times {factor:.4g} to output variance 1")
        signal.mul_(factor)
        return signal if bias is None else signal.add_(bias)

    while_running(network, affine_layers(network), normalize)


def _factor(path: str, signal: Tensor, bias: Tensor | None, tolerance: float) -> float:
    """Return by how much to multiply the weight."""
    if bias is None:
        return 1 / _std(path, signal)
    factor = 1.0
    for _ in range(TRIES):
        std = _std(path, signal * factor + bias)
        if abs(std**2 - 1) <= tolerance:
            break
        factor /= std
    return factor


def _std(path: str, output: Tensor) -> float:
    wide = output if output.is_complex() else output.float()
    std = wide.std(correction=0).item()
    if not 0 < std < math.inf:
        raise InitBenchError(
            f"the output of {path!r} has standard deviation {std:g} on this batch, which no scale "
            f"makes 1; check the batch and the preceding layers"
        )
    return std
