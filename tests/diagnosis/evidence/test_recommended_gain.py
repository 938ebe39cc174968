"""Gains wanted: closed forms, quadrature, and what has none."""

import math

import pytest
import torch
from torch import nn

from init_bench.activations.gains import gradient_gain


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


@pytest.mark.parametrize("module", [nn.Softmax(dim=1), nn.Linear(3, 3), nn.GLU()], ids=str)
def test_what_is_no_elementwise_nonlinearity_has_no_gain(module: nn.Module) -> None:
    assert math.isnan(gradient_gain(module))
