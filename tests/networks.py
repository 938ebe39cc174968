"""Factories as a user would write them, named in grids as ``tests.networks:NAME``."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


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


class _Noisy(nn.Module):
    """Noise drawn in four ways, dropout among them, on whatever device the input is."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(features, 8), nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.fc1(x.flatten(1)).tanh()
        z = z + 0.1 * torch.rand_like(z) + 0.1 * torch.randn(z.shape, device=z.device)
        z = z * torch.bernoulli(torch.full_like(z, 0.9))
        logits: Tensor = self.fc2(nn.functional.dropout(z, 0.2, self.training))
        return logits


def noisy(features: int, classes: int) -> nn.Module:
    return _Noisy(features, classes)


class _Checkpointed(nn.Module):
    """Two blocks with dropout whose forward passes the backward pass repeats, if so asked."""

    def __init__(self, features: int, classes: int, repeats: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(features, 8), nn.Linear(8, 8)
        self.fc3, self.repeats = nn.Linear(8, classes), repeats

    def _block(self, layer: nn.Linear, x: Tensor) -> Tensor:
        def run(x: Tensor) -> Tensor:
            return nn.functional.dropout(layer(x).tanh(), 0.5)

        return checkpoint(run, x, use_reentrant=False) if self.repeats else run(x)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc3(self._block(self.fc2, self._block(self.fc1, x.flatten(1))))
        return logits


def checkpointed(features: int, classes: int) -> nn.Module:
    return _Checkpointed(features, classes, repeats=True)


class _Waiting(nn.Module):
    """Waits for the device in its forward pass."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        torch.accelerator.synchronize()
        logits: Tensor = self.fc(x.flatten(1))
        return logits


def waiting(features: int, classes: int) -> nn.Module:
    """Of a kind that no CUDA graph can record."""
    return _Waiting(features, classes)


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
