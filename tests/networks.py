"""Factories as a user would write them, named in grids as ``tests.networks:NAME``."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def dropped(features: int, classes: int, width: int) -> nn.Module:
    """Images through a network with dropout."""
    layers = OrderedDict(
        flatten=nn.Flatten(),
        fc1=nn.Linear(features, width),
        act1=nn.Tanh(),
        drop1=nn.Dropout(0.5),
        fc2=nn.Linear(width, classes),
    )
    return nn.Sequential(layers)


def half_frozen(features: int, classes: int) -> nn.Module:
    """A first layer that does not train, and a scale that does."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, classes))
    network[1].requires_grad_(False)
    return network


class _Branching(nn.Module):
    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(x.flatten(1))
        return logits if logits.sum() > 0 else logits * 2


def branching(features: int, classes: int) -> nn.Module:
    """Its way depends on its numbers: nothing that ``vmap`` can follow."""
    return _Branching(features, classes)


def too_few_logits(features: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 3))


def wrong_input(classes: int) -> nn.Module:
    return nn.Linear(7, classes)


def no_module() -> int:
    return 3


def failing(classes: int) -> nn.Module:
    raise ZeroDivisionError("on purpose")


def with_own_buffer(features: int, classes: int) -> nn.Module:
    """A buffer that only the factory knows the value of."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(features, classes))
    network.register_buffer("temperature", torch.tensor(2.0))
    return network
