"""Small networks that initialisers of whole networks are tried on."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + α · norm(fc2(relu(fc1(x)))), with or without norm and α."""

    def __init__(self, width: int, *, norm: bool = False, scalar: bool = False) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.alpha = nn.Parameter(torch.full((), 0.7)) if scalar else None

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.norm(self.fc2(torch.relu(self.fc1(x))))
        return x + (inner if self.alpha is None else self.alpha * inner)


def residual(
    blocks: int = 3, width: int = 8, *, norm: bool = False, scalar: bool = False
) -> nn.Sequential:
    """Return 5 inputs → ``blocks`` residual blocks → 3 outputs."""
    body = [Block(width, norm=norm, scalar=scalar) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(5, width), *body, nn.Linear(width, 3))


def transformer(layers: int = 2) -> nn.Sequential:
    """Return 5 inputs → torch's transformer encoder of width 8 → 3 outputs."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.1)
    encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(5, 8), encoder, nn.Linear(8, 3))


def plain(depth: int = 4, width: int = 30) -> nn.Sequential:
    """Return 5 inputs → ``depth`` layers with ReLU → 3 outputs, dropout and a norm inside."""
    layers: list[nn.Module] = [nn.Linear(5, width), nn.BatchNorm1d(width), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def batch(samples: int = 64) -> tuple[Tensor, Tensor]:
    """Return inputs (samples, 5) and targets of 3 classes."""
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 5, generator=draws)
    return inputs, torch.randint(3, (samples,), generator=draws)
