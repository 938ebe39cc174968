"""Build networks of coordinates: from the place of a pixel to its value."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

W0 = 30.0
"""Frequency of the sines, as in the paper."""


class Sine(nn.Module):
    """Compute sin(w0 a)."""

    def __init__(self, w0: float = W0) -> None:
        super().__init__()
        self.w0 = w0

    def forward(self, a: Tensor) -> Tensor:
        """Return sin(w0 a), of the shape of ``a``."""
        return torch.sin(self.w0 * a)


def siren(features: int, classes: int, width: int, depth: int) -> nn.Sequential:
    """Return a multilayer perceptron of sines: fc1, act1, …, fc<depth>, the last without a sine.

    Formula:
        a_l = W_l z_(l−1) + b_l, z_l = sin(30 a_l), z_0 = x, output = a_depth.

    Args:
        features: inputs, such as the 2 coordinates of a pixel.
        classes: outputs, such as 1 gray value.
        width: units of each hidden layer.
        depth: number of weight layers.

    Raises:
        ValueError: a size is negative, as torch checks it.

    Source:
        Sitzmann et al., Implicit Neural Representations with Periodic Activation Functions, 2020,
        sec. 3. The initializer ``siren`` is the paper's; torch's own start stands here.

    Example:
        >>> [name for name, _ in siren(2, 1, width=8, depth=2).named_children()]
        ['fc1', 'act1', 'fc2']
    """
    sizes = [features, *[width] * (depth - 1), classes]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(1, depth + 1):
        layers[f"fc{index}"] = nn.Linear(sizes[index - 1], sizes[index])
        if index < depth:
            layers[f"act{index}"] = Sine()
    return nn.Sequential(layers)
