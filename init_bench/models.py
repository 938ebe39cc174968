"""Networks that a grid can name."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from init_bench.activations import ACTIVATIONS
from init_bench.errors import lookup
from init_bench.init import InitSpec
from init_bench.init.whole_model import fill_weights

Factory = Callable[..., nn.Module]


def mlp(
    features: int, classes: int, width: int, depth: int, activation: str, *, bias: bool = True
) -> nn.Sequential:
    """Return a multilayer perceptron: fc1, act1, fc2, …, fc<depth>, the last without φ.

    Formula:
        a_l = W_l z_(l−1) + b_l, z_l = φ(a_l), z_0 = x, logits = a_depth.

    Args:
        features: inputs of fc1.
        classes: outputs of the last layer.
        width: units of each hidden layer.
        depth: number of weight layers.
        activation: a name on the menu of activations.
        bias: whether the layers have biases b_l.

    Raises:
        InitBenchError: ``activation`` is unknown.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2: 784-100-100-100-100-10.

    Example:
        >>> [name for name, _ in mlp(4, 2, 3, depth=2, activation="relu").named_children()]
        ['fc1', 'act1', 'fc2']
    """
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    sizes = [features, *[width] * (depth - 1), classes]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(1, depth + 1):
        layers[f"fc{index}"] = nn.Linear(sizes[index - 1], sizes[index], bias=bias)
        if index < depth:
            layers[f"act{index}"] = phi.module()
    return nn.Sequential(layers)


MODELS: dict[str, Factory] = {"mlp": mlp}


def build(factory: Callable[[], nn.Module], init: str | InitSpec, seed: int) -> nn.Module:
    """Return ``factory()`` on the CPU with weights from ``init`` and ``seed`` alone.

    The module is made on the meta device first, so that torch draws nothing it then throws away.

    Example:
        >>> net = build(lambda: mlp(4, 2, 3, 2, "relu"), "zeros", seed=0)
        >>> net.fc1.weight.sum().item()
        0.0
    """
    with torch.device("meta"):
        model = factory()
    return fill_weights(model.to_empty(device="cpu"), init, seed=seed)
