"""Build multilayer perceptrons."""

from collections import OrderedDict
from typing import Literal

from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import lookup
from init_bench.models.user_factory import check_norm

Norm = Literal["none", "batch"]

NORMS = ("none", "batch")


def mlp(
    features: int,
    classes: int,
    width: int,
    depth: int,
    activation: str,
    *,
    bias: bool = True,
    norm: Norm = "none",
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
        norm: ``batch`` puts norm<l>, a batch normalization, between a_l and φ.

    Raises:
        InitBenchError: ``activation`` is unknown, or ``norm`` another.

    Source:
        Saito, Deep Learning from Scratch, 2016, sec. 6.2: 784-100-100-100-100-10.

    Example:
        >>> [name for name, _ in mlp(4, 2, 3, depth=2, activation="relu").named_children()]
        ['fc1', 'act1', 'fc2']
    """
    check_norm(norm, NORMS, "mlp")
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    sizes = [features, *[width] * (depth - 1), classes]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(1, depth + 1):
        layers[f"fc{index}"] = nn.Linear(sizes[index - 1], sizes[index], bias=bias)
        if index < depth:
            if norm == "batch":
                layers[f"norm{index}"] = nn.BatchNorm1d(sizes[index])
            layers[f"act{index}"] = phi.module()
    return nn.Sequential(layers)
