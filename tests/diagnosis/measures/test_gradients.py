"""How much gradient is left is judged by layers: one that runs several times learns from all."""

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from tests.diagnosis.measures.test_gates import Looped

X, Y = torch.randn(32, 30, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3


class Tied(nn.Module):
    """One layer, applied 30 times to what another one makes of the input."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.first, self.tied, self.head = nn.Linear(8, 64), nn.Linear(64, 64), nn.Linear(64, 3)
        ib.initialize(self, "lecun_normal")
        with torch.no_grad():
            self.tied.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.first(x.mean(1)))
        for _ in range(30):
            z = torch.tanh(self.tied(z))
        logits: Tensor = self.head(z)
        return logits


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell", "LSTM", "GRU", "RNN"])
def test_a_loop_over_time_is_judged_as_the_recurrent_layer(kind: str) -> None:
    # Each trains as nn.LSTM does: to a loss below 0.04 in 150 steps of Adam at rate 0.003, where
    # the mean over 30 steps tells three classes.
    torch.manual_seed(0)
    assert ib.diagnose(Looped(kind), X, Y).healthy


@pytest.mark.parametrize(("gain", "verdict"), [(0.5, "vanishing_gradient"), (1.2, "healthy")])
def test_the_layer_before_one_that_runs_often_is_judged(gain: float, verdict: str) -> None:
    assert verdict in set(ib.diagnose(Tied(gain), X, Y).verdicts["verdict"])


class Sines(nn.Module):
    """Layers behind each other, each followed by sin(30 z) as in a SIREN."""

    def __init__(self, gains: list[float]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in gains)
        self.head = nn.Linear(64, 3)
        for layer, gain in zip(self.layers, gains, strict=True):
            nn.init.normal_(layer.weight, std=gain * 2**0.5 / 8 / 30)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        z = x.flatten(1)[:, :64]
        for layer in self.layers:
            z = torch.sin(30 * layer(z))
        logits: Tensor = self.head(z)
        return logits


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [([1, 1, 12, 12, 12], "exploding_gradient"), ([1, 1, 0.04, 0.04, 0.04], "vanishing_gradient")],
)
def test_the_layers_that_change_the_gradient_are_named_not_the_first(
    gains: list[float], verdict: str
) -> None:
    assert ib.diagnose(Sines([1.0] * 5), X, Y).healthy
    bad = ib.diagnose(Sines(gains), X, Y).bad
    assert bad.loc[bad["verdict"] == verdict, "layer"].tolist() == ["layers.2"]
