"""Gains wanted: closed forms, quadrature, and what has none."""

import math

import pytest
from torch import nn

from init_bench.wanted import gain_of


@pytest.mark.parametrize(
    ("module", "gain"),
    [(nn.ReLU(), math.sqrt(2)), (nn.LeakyReLU(0.5), math.sqrt(2 / 1.25)), (nn.Tanh(), 1.4674)],
    ids=str,
)
def test_gains_are_those_of_closed_forms_and_quadrature(module: nn.Module, gain: float) -> None:
    assert gain_of(module) == pytest.approx(gain, rel=1e-3)


@pytest.mark.parametrize("module", [nn.Softmax(dim=1), nn.Linear(3, 3), nn.GLU()], ids=str)
def test_what_is_no_elementwise_nonlinearity_has_no_gain(module: nn.Module) -> None:
    assert math.isnan(gain_of(module))
