"""Small networks that initializers of whole networks are tried on."""

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


class Last(nn.Module):
    """An LSTM and what it gives at the last of 5 positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.lstm(x.unsqueeze(-1))[0]
        return outputs[:, -1]


def recurrent(width: int = 8) -> nn.Sequential:
    """Return 5 inputs, one after another → LSTM → 3 outputs."""
    return nn.Sequential(nn.Identity(), Last(width), nn.Linear(width, 3))


class Mixer(nn.Module):
    """The parameters of a Mamba layer, and sums over them in place of its scan."""

    def __init__(self, width: int, states: int = 4) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.x_proj, self.dt_proj = nn.Linear(width, 3), nn.Linear(3, width)
        self.A_log = nn.Parameter(torch.zeros(width, states))
        self.D = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_proj(x)
        step = nn.functional.softplus(self.dt_proj(self.x_proj(x)))
        kept = torch.exp(-step.unsqueeze(-1) * self.A_log.exp()).mean(-1)
        mixed: Tensor = self.out_proj(x * kept + x * self.D)
        return mixed


def state_space(layers: int = 2, width: int = 8) -> nn.Sequential:
    """Return 5 inputs → Mamba-like layers → 3 outputs."""
    return nn.Sequential(
        nn.Linear(5, width), *(Mixer(width) for _ in range(layers)), nn.Linear(width, 3)
    )


def adapted() -> nn.Sequential:
    """Return a plain network, frozen, with LoRA adapters in its first layers."""
    from peft import LoraConfig, inject_adapter_in_model

    model = plain()
    config = LoraConfig(r=4, target_modules=["0", "3"])
    adapted = inject_adapter_in_model(config, model)
    assert isinstance(adapted, nn.Sequential)
    return adapted.requires_grad_(True)


def adapted_classifier() -> nn.Module:
    """Return a network for images of digits with LoRA adapters in its first layer."""
    from peft import LoraConfig, get_peft_model

    layers = (nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10))
    config = LoraConfig(r=2, target_modules=["1"], modules_to_save=["3"])
    model: nn.Module = get_peft_model(nn.Sequential(*layers), config)
    return model
