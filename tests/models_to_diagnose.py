"""Small models and data that several tests of the diagnosis share."""

import torch
from torch import Tensor, nn

from init_bench.hooks.random_streams import stream
from init_bench.init import initialize
from init_bench.models import mlp
from init_bench.reproduction.book.initial_activations import SAMPLES, UNITS
from init_bench.training.networks import build


def sound(activation: str = "relu", init: str = "he_normal", depth: int = 6) -> nn.Module:
    """Return an MLP of 30 inputs and 4 classes whose weights fit its nonlinearity."""
    return build(lambda: mlp(30, 4, 40, depth, activation), init, seed=1)


def scalar() -> nn.Module:
    """Return a network whose output is one number for each sample: no classifier."""
    return nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 1))


def batch(samples: int = 64, features: int = 30) -> tuple[Tensor, Tensor]:
    """Return inputs of N(0, 1) and classes."""
    x = torch.randn(samples, features, generator=stream(0, "batch"))
    return x, torch.arange(samples) % 4


def book_network(init: str, activation: str) -> tuple[nn.Module, Tensor]:
    """Return the book's five layers of 100 units and its 1000 samples."""
    network = build(lambda: mlp(UNITS, UNITS, UNITS, 6, activation)[:-1], init, seed=0)
    return network, torch.randn(SAMPLES, UNITS, generator=stream(0, "first_look"))


class Functional(nn.Module):
    """A convolutional network whose nonlinearities are functions, with a residual branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)
        initialize(self, "he_normal")

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.stem(x))
        z = torch.relu(z + self.norm(self.branch(z)))
        logits: Tensor = self.head(z.mean(dim=(2, 3)))
        return logits


class TwoInputs(nn.Module):
    """A linear layer for each of two inputs, and one for both."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(3, 8), nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.left(x) + self.right(y)))
        return logits


def no_classifier() -> nn.Module:
    """Return what gives no logits (samples, classes) for inputs of three dimensions."""
    return nn.Linear(4, 2)
