"""Build convolutional networks without residual sums."""

from collections import OrderedDict

from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError, lookup


def lenet(image: tuple[int, int, int], classes: int, activation: str) -> nn.Sequential:
    """Return a LeNet-5: two convolutions with pooling, three linear layers.

    Formula:
        conv 6@5×5 (padding 2), φ, max-pool 2, conv 16@5×5, φ, max-pool 2, linear 120, φ, 84, φ,
        classes.

    Args:
        image: channels, height, width of an image; height and width at least 12.
        classes: outputs of the last layer.
        activation: a name on the menu of activations.

    Raises:
        InitBenchError: the images are too small, or ``activation`` is unknown.

    Source:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, fig. 2, with
        max-pooling and full connections.

    Example:
        >>> import torch
        >>> lenet((1, 28, 28), 10, "relu")(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    channels, *sides = image
    height, width = ((side // 2 - 4) // 2 for side in sides)
    if min(height, width) < 1:
        raise InitBenchError(f"lenet needs images of at least 12 x 12 pixels, got {sides}")
    layers = OrderedDict(
        conv1=nn.Conv2d(channels, 6, 5, padding=2),
        act1=phi.module(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        act2=phi.module(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(16 * height * width, 120),
        act3=phi.module(),
        fc2=nn.Linear(120, 84),
        act4=phi.module(),
        fc3=nn.Linear(84, classes),
    )
    return nn.Sequential(layers)
