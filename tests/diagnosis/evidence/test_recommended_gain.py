"""Gains wanted: closed forms, quadrature, and what has none."""

import math

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.activations.gains import gradient_gain
from init_bench.hooks.random_streams import stream


@pytest.mark.parametrize(
    ("module", "gain"),
    [(nn.ReLU(), math.sqrt(2)), (nn.LeakyReLU(0.5), math.sqrt(2 / 1.25)), (nn.Tanh(), 1.4674)],
    ids=str,
)
def test_gains_are_those_of_closed_forms_and_quadrature(module: nn.Module, gain: float) -> None:
    assert gradient_gain(module) == pytest.approx(gain, rel=1e-3)


def test_a_nonlinearity_that_draws_in_training_is_asked_as_it_evaluates() -> None:
    before = torch.get_rng_state()
    slope = (0.1 + 0.3) / 2
    assert gradient_gain(nn.RReLU(0.1, 0.3)) == pytest.approx(
        math.sqrt(2 / (1 + slope**2)), rel=1e-3
    )
    assert torch.equal(before, torch.get_rng_state())


class FunctionBehind(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.hidden, self.head, self.name = nn.Linear(8, 8), nn.Linear(8, 1), name

    def forward(self, x: Tensor) -> Tensor:
        phi = getattr(torch, self.name)
        out: Tensor = phi(self.head(phi(self.hidden(x))))
        return out


@pytest.mark.parametrize(("name", "gain"), [("sigmoid", 4.7), ("tanh", 1.4674)])
def test_the_nonlinearity_of_the_output_raises_no_gain(name: str, gain: float) -> None:
    modules = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    phi = modules[name]
    x, y = torch.randn(64, 8, generator=stream(0, "x")), torch.zeros(64, 1)
    for model in (
        nn.Sequential(nn.Linear(8, 8), phi(), nn.Linear(8, 1), nn.Dropout(0.1), phi()),
        FunctionBehind(name),
    ):
        found = ib.diagnose(model, x, y, nn.functional.mse_loss).weights
        hidden, head = found["recommended_std"].dropna() * math.sqrt(8)
        assert (hidden, head) == (pytest.approx(gain, rel=0.02), pytest.approx(1))


def test_an_unbounded_nonlinearity_at_the_end_keeps_its_gain() -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), torch.ones(2, 8)
    found = ib.diagnose(model, x, x, nn.functional.mse_loss).weights
    assert found["recommended_std"].iloc[0] * math.sqrt(8) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("module", [nn.Softmax(dim=1), nn.Linear(3, 3), nn.GLU()], ids=str)
def test_what_is_no_elementwise_nonlinearity_has_no_gain(module: nn.Module) -> None:
    assert math.isnan(gradient_gain(module))
