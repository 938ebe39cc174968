"""Build residual networks of convolutions."""

from collections import OrderedDict

from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import lookup
from init_bench.models.perceptron import NORMS, Norm
from init_bench.models.user_factory import check_norm


class ResidualBlock(nn.Module):
    """Compute φ(x + f(x)), f being two 3×3 convolutions with φ between them.

    With ``norm="batch"`` a batch normalization follows each convolution.
    """

    def __init__(self, channels: int, activation: str, norm: Norm) -> None:
        super().__init__()
        phi = lookup(ACTIVATIONS, activation, kind="activation")
        self.conv1 = _convolution(channels, channels, norm)
        self.norm1 = _norm(channels, norm)
        self.act1 = phi.module()
        self.conv2 = _convolution(channels, channels, norm)
        self.norm2 = _norm(channels, norm)
        self.act2 = phi.module()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the shape of ``x``: ``(B, channels, height, width)``."""
        branch = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        out: Tensor = self.act2(x + branch)
        return out


def resnet_small(
    image: tuple[int, int, int],
    classes: int,
    width: int,
    depth: int,
    activation: str,
    norm: Norm = "none",
) -> nn.Sequential:
    """Return a small ResNet of ``2 · depth + 2`` layers, filled as torchvision fills its own.

    Formula:
        conv 3×3 (stride 2), norm, φ, max-pool 2, depth × [x ← φ(x + f(x))], mean over pixels,
        linear; f(x) = norm(conv(φ(norm(conv(x))))). Convolutions N(0, 2/fan_out), scales of norms
        1, their shifts 0.

    Args:
        image: channels, height, width of an image.
        classes: outputs of the last layer.
        width: channels of every convolution, such as 16.
        depth: residual blocks of two convolutions: 3 is a network of 8 layers, 6 one of 14.
        activation: a name on the menu of activations.
        norm: ``batch`` puts a batch normalization after each convolution, which then has no bias.

    Raises:
        InitBenchError: ``activation`` is unknown, or ``norm`` another.

    Source:
        He et al., Deep residual learning for image recognition, 2016, sec. 4.2, with one size of
        feature maps; start as in torchvision's ``resnet.py``.

    Example:
        >>> import torch
        >>> model = resnet_small((1, 28, 28), 10, width=4, depth=3, activation="relu")
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    check_norm(norm, NORMS, "resnet_small")
    phi = lookup(ACTIVATIONS, activation, kind="activation")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=_convolution(image[0], width, norm, stride=2),
        norm=_norm(width, norm),
        act=phi.module(),
        pool=nn.MaxPool2d(2),
    )
    for index in range(1, depth + 1):
        layers[f"block{index}"] = ResidualBlock(width, activation, norm)
    layers |= {
        "mean": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(width, classes),
    }
    return nn.Sequential(layers)


def _convolution(channels: int, outputs: int, norm: Norm, stride: int = 1) -> nn.Conv2d:
    """Return a 3×3 convolution that keeps the size, filled as torchvision does."""
    layer = nn.Conv2d(channels, outputs, 3, stride=stride, padding=1, bias=norm == "none")
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _norm(channels: int, norm: Norm) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()


def resnet18(image: tuple[int, int, int], classes: int) -> nn.Module:
    """Return torchvision's ResNet-18 with a first convolution for the images' channels.

    Formula:
        as torchvision.models.resnet18, conv1 taking image[0] channels.

    Args:
        image: channels, height, width of an image.
        classes: outputs of the last layer.

    Source:
        He et al., Deep residual learning for image recognition, 2016, table 1.

    Example:
        >>> resnet18((1, 28, 28), 10).conv1.weight.shape
        torch.Size([64, 1, 7, 7])
    """
    from torchvision import models

    network: nn.Module = models.resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(image[0], 64, 7, stride=2, padding=3, bias=False)
    return network
