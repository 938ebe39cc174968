"""Fill by Krähenbühl: equal units inside a layer, equal rates of change between layers."""

import math

from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.init.batch_inits.affine_layers import Affine, affine_layers, while_running
from init_bench.init.batch_inits.rates_of_change import geometric_mean, rates_of_change
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter

ROUNDS = 20
"""Most rounds between layers. A network of ReLUs halves its distance from level in each."""


DAMPING = 0.5
"""Share of its correction that a layer takes in a round: one that saturates answers too much."""


LEVEL = 0.01
"""Rates this close to their mean are equal."""


AWAY = 1.0
"""Rounds end when the logarithm of a rate is this much farther from the mean than it was."""


def krahenbuhl_(network: Network, *, start: str = "he_normal", between_layers: bool = True) -> None:
    """Give every unit mean 0 and one variance per layer, and every layer the same rate of change.

    Within layers: each unit of each linear layer and convolution is scaled to variance 1, and its
    bias takes the mean away; one forward pass does it, as in ``lsuv``. Between layers: a step of
    descent should change all weights by as much relative to their size, so layers whose gradient
    is large for their size are made larger, the others smaller, and the units of each are set
    anew to mean 0 and one variance, until all rates are within 1 % of each other, at most 20
    times; where they run apart, as in transformers, or need signals beyond the range of float32,
    as in 64 layers of ReLU, the most even values are kept. No targets are needed: the loss is a
    random linear one.

    Formula:
        w_i ← w_i / σ_i, b_i ← −μ_i / σ_i, with μ_i, σ_i of unit i over samples (and positions).
        Then W_k ← (C_k / C)^(1/4) W_k, repeatedly, with C_k² = mean (∂ℓ/∂W_k)² / mean W_k²,
        ℓ = Σ η z over the output, η ~ N(0, 1), C the geometric mean of the C_k times s^(1/N),
        s the standard deviation of the last of the N layers.

    Shapes:
        network: any that takes the batch; a layer without a bias is scaled, not centered, a unit
        that is constant on the batch keeps its scale. Only weights that the batch reaches and
        that have no override are leveled; networks with sums x + f(x) come near C and s = 1 only.
        ``between_layers=False`` leaves the second step out.

    Raises:
        InitBenchError: the batch does not fit, or the output of a layer is not finite.

    Source:
        Krähenbühl, Doersch, Donahue & Darrell, Data-dependent Initializations of Convolutional
        Neural Networks, 2016, algorithms 1 and 2, α = 1/2 (there C / C_k is printed; the authors'
        ``magic_init`` has C_k / C, which levels).

    Example:
        >>> import torch
        >>> from init_bench import initialize, models
        >>> x = torch.rand(256, 20, generator=torch.Generator().manual_seed(0))
        >>> model = models.mlp(20, 3, width=30, depth=2, activation="relu")
        >>> report = initialize(model, "krahenbuhl", batch=x)
        >>> model(x).std(dim=0, correction=0).round(decimals=2).tolist()
        [1.0, 1.0, 1.0]
    """
    network.start(start)
    label = f"krahenbuhl(start={start!r})"
    layers = affine_layers(network)

    def normalize(layer: Affine, output: Tensor) -> Tensor:
        signal, _ = layer.split(output)
        return _set(network, layer, signal, 1.0, label)

    while_running(network, layers, normalize)
    if between_layers:
        _level(network, layers, label)


def _level(network: Network, layers: list[Affine], label: str) -> None:
    """Scale layers until their weights change at the same rate."""
    free = [layer for layer in layers if not network.has_override(layer.weight)]
    found = rates_of_change(network, free)
    for layer in free:
        if layer not in found:
            network.note(layer.weight, "not leveled: no gradient reaches it")
    if not found:
        return
    begin, layers, spread = found, list(found), 1.0
    best = _Best()
    for done in range(ROUNDS + 1):
        if len(found) < len(layers):
            break
        target = geometric_mean(found.values()) * spread ** (1 / len(layers))
        distance = max(abs(math.log(rate / target)) for rate in found.values())
        best.keep(found, distance)
        is_level = all(abs(rate / target - 1) < LEVEL for rate in found.values())
        if is_level or distance > best.distance + AWAY or done == ROUNDS:
            break
        factors = {layer: (rate / target) ** (DAMPING / 2) for layer, rate in found.items()}
        try:
            spread = _rescale(network, factors, label)
        except _NotFinite:  # level rates need signals beyond the range of the type
            break
        found = rates_of_change(network, layers)
    best.restore()
    for layer in layers:
        change = f"rate of change {begin[layer]:.4g} → {best.rates[layer]:.4g}"
        network.note(layer.weight, change)


class _NotFinite(InitBenchError):
    """Report that a layer's output is not finite on the batch."""


class _Best:
    """Hold the values at which rates were closest to their mean."""

    def __init__(self) -> None:
        self.distance, self.rates = math.inf, dict[Affine, float]()
        self.values: list[tuple[NamedParameter, Tensor]] = []

    def keep(self, rates: dict[Affine, float], distance: float) -> None:
        """Copy the values of the layers if their rates are closer than any before."""
        if distance < self.distance:
            own = [p for layer in rates for p in (layer.weight, layer.bias) if p is not None]
            self.distance, self.rates = distance, rates
            self.values = [(parameter, parameter.values.clone()) for parameter in own]

    def restore(self) -> None:
        """Give the parameters the values that were kept."""
        for parameter, values in self.values:
            parameter.write(values)


def _rescale(network: Network, factors: dict[Affine, float], label: str) -> float:
    """Multiply each layer by its factor, even its units out again; return the last one's std."""
    spread = 1.0

    def rescale(layer: Affine, output: Tensor) -> Tensor:
        nonlocal spread
        signal, _ = layer.split(output)
        _, std = _moments(layer, signal)
        spread = factors[layer] * std.square().mean().sqrt().item()
        return _set(network, layer, signal, spread, label)

    while_running(network, list(factors), rescale)
    return spread


def _set(network: Network, layer: Affine, signal: Tensor, std: float, label: str) -> Tensor:
    """Give each unit of the layer mean 0 and ``std``; return the output that follows."""
    mean, found = _moments(layer, signal)
    factor = (std / found).where(found > 0, 1.0)
    network.write(layer.weight, layer.times(factor), label)
    column = factor.reshape(-1, *[1] * (-layer.channel - 1))
    if layer.bias is None:
        return signal * column
    network.write(layer.bias, -mean * factor, "krahenbuhl", "takes the unit's mean away")
    return (signal + (layer.bias.values / factor).reshape(column.shape)) * column


def _moments(layer: Affine, signal: Tensor) -> tuple[Tensor, Tensor]:
    """Return each unit's mean and standard deviation."""
    units = signal.movedim(layer.channel, 0).flatten(1)
    mean, std = units.mean(dim=1), units.std(dim=1, correction=0)
    if not (mean + std).isfinite().all():
        raise _NotFinite(
            f"the output of {layer.path!r} is not finite on this batch; check the batch and "
            f"the layers before it"
        )
    return mean, std
