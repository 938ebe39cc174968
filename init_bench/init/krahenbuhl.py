"""Krähenbühl's data-dependent start: every unit has mean 0 and variance 1 on a batch."""

from typing import TYPE_CHECKING

from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.init.layers import Affine, affine_layers, while_running

if TYPE_CHECKING:
    from init_bench.init.network import Network


def krahenbuhl_(network: "Network", *, start: str = "he_normal") -> None:
    """Scale and shift each unit of each linear layer and convolution to mean 0 and variance 1.

    One forward pass does it, as in ``lsuv``; here each unit has a scale of its own, and its bias
    takes the mean away. This is the paper's within-layer step; its second, which levels the rates
    of change between layers, is not done.

    Formula:
        w_k ← w_k / σ_k, b_k ← −μ_k / σ_k; μ_k, σ_k mean and standard deviation of unit k over
        samples (and positions). A unit that is constant on the batch keeps its scale.

    Shapes:
        network: any that takes the batch; a layer without a bias is scaled, not centred.

    Raises:
        InitBenchError: the batch does not fit, or the output of a layer is not finite.

    Source:
        Krähenbühl, Doersch, Donahue & Darrell, Data-dependent Initializations of Convolutional
        Neural Networks, 2016, algorithm 1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> x = torch.rand(256, 20, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3))
        >>> report = initialize(model, "krahenbuhl", batch=x)
        >>> model(x).std(dim=0, correction=0).round(decimals=3).tolist()
        [1.0, 1.0, 1.0]
    """
    network.start(start)

    def normalise(layer: Affine, output: Tensor) -> Tensor:
        signal, _ = layer.split(output)
        mean, factor = _moments(layer, signal)
        network.write(layer.weight, layer.times(factor), f"krahenbuhl(start={start!r})")
        column = factor.reshape(-1, *[1] * (-layer.channel - 1))
        if layer.bias is None:
            return signal * column
        network.write(layer.bias, -mean * factor, "krahenbuhl", "takes the unit's mean away")
        return (signal + (layer.bias.values / factor).reshape(column.shape)) * column

    while_running(network, affine_layers(network), normalise)


def _moments(layer: Affine, signal: Tensor) -> tuple[Tensor, Tensor]:
    """Return each unit's mean, and 1 over its standard deviation, 1 where that is 0."""
    units = signal.movedim(layer.channel, 0).flatten(1)
    mean, std = units.mean(dim=1), units.std(dim=1, correction=0)
    if not (mean + std).isfinite().all():
        raise InitBenchError(
            f"the output of {layer.path!r} is not finite on this batch; look at the batch and at "
            f"the layers before it"
        )
    return mean, (1 / std).where(std > 0, 1.0)
