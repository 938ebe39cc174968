"""Draw small random networks to calibrate and test verdicts on."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.hooks.random_streams import stream
from init_bench.init import initialize

PLAIN = "plain"
MISLEADING = ("residual", "batch_norm", "layer_norm", "conv", "conv_norm", "conv_residual")
ACTIVATION_NAMES = ("relu", "tanh", "sigmoid", "gelu", "selu", "elu", "silu", "softplus")


@dataclass(frozen=True, kw_only=True)
class Net:
    """A random network: all that decides its weights."""

    number: int
    kind: str
    activation: str
    init: str
    scale: float
    bias_std: float
    depth: int
    width: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number:03d}"


def training_nets() -> list[Net]:
    """Return the networks that measures, thresholds and the budgets were chosen on."""
    plain = [*range(0, 320, 2), *range(319, 279, -2), *range(1000, 1120), *range(2000, 2120)]
    return _nets(plain, [*range(320, 440), *range(2120, 2240)])


def held_out_nets() -> list[Net]:
    """Return the networks that the verdicts are tested on, which decided nothing."""
    return _nets(range(3000, 3120), range(3120, 3360))


def _nets(plain: Iterable[int], misleading: Iterable[int]) -> list[Net]:
    return [
        *(_drawn(number, PLAIN) for number in plain),
        *(_drawn(number, MISLEADING[i % len(MISLEADING)]) for i, number in enumerate(misleading)),
    ]


def build(net: Net) -> nn.Module:
    """Return the network with its initial weights."""
    model = BODIES[net.kind](net)
    initialize(model, net.init, seed=net.number)
    noise = stream(net.number, "bias")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.mul_(net.scale)
                if module.bias is not None and net.bias_std:
                    module.bias.normal_(0, net.bias_std, generator=noise)
    return model


def _drawn(number: int, kind: str) -> Net:
    dice = random.Random(number)
    low, high = (0.3, 4.0) if kind == PLAIN else (0.05, 12.0)  # those train over a wider range
    deepest = 30 if "conv" in kind else 50
    depth = round(math.exp(dice.uniform(math.log(3), math.log(deepest))))
    init = dice.choice(
        ("lecun_normal",) * 4
        + ("torch.orthogonal", "normal(std=0.01)", "torch.default", "he_normal", "xavier_uniform")
    )
    tuned = kind != PLAIN or init in ("lecun_normal", "torch.orthogonal", "normal(std=0.01)")
    return Net(
        number=number,
        kind=kind,
        activation=dice.choice(ACTIVATION_NAMES),
        init=init,
        scale=round(math.exp(dice.uniform(math.log(low), math.log(high))), 3) if tuned else 1.0,
        bias_std=round(dice.uniform(0.1, 1), 2) if dice.random() < 0.15 else 0.0,
        depth=depth,
        width=dice.choice((50, 100, 200)) if kind in (PLAIN, *MISLEADING[:3]) else 8,
    )


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.branch(x)
        return total


def _plain(net: Net, norm: Callable[[int], nn.Module] | None = None) -> nn.Module:
    sizes = [784, *[net.width] * (net.depth - 1)]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), *([norm(fan_out)] if norm else []), _phi(net)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 10))


def _residual(net: Net) -> nn.Module:
    blocks = [
        Residual(nn.Linear(net.width, net.width), _phi(net), nn.Linear(net.width, net.width))
        for _ in range(max(1, (net.depth - 2) // 2))
    ]
    return nn.Sequential(
        nn.Linear(784, net.width), _phi(net), *blocks, _phi(net), nn.Linear(net.width, 10)
    )


def _conv(net: Net, norm: bool = False, residual: bool = False) -> nn.Module:
    def unit(fan_in: int, stride: int = 1) -> list[nn.Module]:
        layer = nn.Conv2d(fan_in, net.width, 3, stride=stride, padding=1)
        return [layer, *([nn.BatchNorm2d(net.width)] if norm else []), _phi(net)]

    def block() -> list[nn.Module]:
        if not residual:
            return unit(net.width)
        return [Residual(*unit(net.width), *unit(net.width)[:-1]), _phi(net)]

    blocks = max(1, (net.depth - 3) // (2 if residual else 1))
    body = [layer for _ in range(blocks) for layer in block()]
    head = (
        [nn.Flatten(), nn.Linear(net.width * 49, 10)]
        if net.number % 2
        else [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(net.width, 10)]
    )
    stem = [nn.Unflatten(1, (1, 28, 28)), *unit(1, 2), *unit(net.width, 2)]
    return nn.Sequential(*stem, *body, *head)


def _phi(net: Net) -> nn.Module:
    return ACTIVATIONS[net.activation].module()


BODIES: dict[str, Callable[[Net], nn.Module]] = {
    PLAIN: _plain,
    "residual": _residual,
    "batch_norm": lambda net: _plain(net, nn.BatchNorm1d),
    "layer_norm": lambda net: _plain(net, nn.LayerNorm),
    "conv": _conv,
    "conv_norm": lambda net: _conv(net, norm=True),
    "conv_residual": lambda net: _conv(net, norm=net.number % 3 > 0, residual=True),
}
