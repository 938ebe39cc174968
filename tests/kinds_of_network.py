"""Networks of every kind that a look must understand, each with the shape of its input."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, rnn
from torch.utils.checkpoint import checkpoint

LENGTH, WIDTH = 6, 8


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def encoder(*, batch_first: bool = True, dropout: float = 0.1) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=dropout, batch_first=batch_first)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class Functional(nn.Module):
    """A small LeNet whose nonlinearities are functions, methods and in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc1, self.fc2 = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x), inplace=True).flatten(1)
        x = self.fc1(x).tanh()
        logits: Tensor = self.fc2(x)
        return logits


class Tied(nn.Module):
    """One layer applied three times."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.act, self.never = nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.act(self.cell(x))
        return x


@dataclass
class Answer:
    name: str
    states: Tensor


class Structured(nn.Module):
    """Layers that return a dictionary, a dataclass and a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({kind: Head(kind) for kind in ("dict", "dataclass", "tuple")})

    def forward(self, x: Tensor) -> Tensor:
        a = self.heads["dict"](x)["nested"][0]
        b = self.heads["dataclass"](a).states
        c: Tensor = self.heads["tuple"](b)[1]
        return c


class Head(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.weight = kind, nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> object:
        y = x * self.weight
        if self.kind == "dict":
            return {"ids": torch.arange(3), "nested": [y, None]}
        return Answer("a", y) if self.kind == "dataclass" else (None, y)


class Checkpointed(nn.Module):
    """Two blocks of which a checkpoint repeats the forward run."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(2))
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x


class Packed(nn.Module):
    """An LSTM on sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(WIDTH, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        packed = rnn.pack_padded_sequence(x, torch.tensor([6, 4, 3, 1]), batch_first=True)
        output, _ = self.lstm(packed)
        logits: Tensor = self.fc(output.data)
        return logits


class First(nn.Module):
    """Returns the first of several outputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.inner = module

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.inner(x)[0]
        return first


IMAGE, SEQUENCE = (4, 3, 8, 8), (4, LENGTH, WIDTH)

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "functional": (Functional, IMAGE),
    "resnet": (lambda: torchvision.models.resnet18(num_classes=5), (2, 3, 32, 32)),
    "vit": (
        lambda: torchvision.models.VisionTransformer(
            image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16,
            num_classes=3,
        ),
        IMAGE,
    ),
    "encoder": (encoder, SEQUENCE),
    "encoder, sequence first": (lambda: encoder(batch_first=False), SEQUENCE),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True), SEQUENCE),
    "lstm": (lambda: First(nn.LSTM(WIDTH, 5, num_layers=2)), SEQUENCE),
    "gru": (lambda: First(nn.GRU(WIDTH, 5, batch_first=True)), SEQUENCE),
    "packed": (Packed, SEQUENCE),
    "tied": (Tied, SEQUENCE),
    "structured": (Structured, SEQUENCE),
    "checkpointed": (lambda: Checkpointed(False), SEQUENCE),
    "checkpointed, reentrant": (lambda: Checkpointed(True), SEQUENCE),
    "spectral norm": (
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(8, 8)), nn.ReLU()),
        SEQUENCE,
    ),
}  # fmt: skip


def built(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NETS[name][0]()
