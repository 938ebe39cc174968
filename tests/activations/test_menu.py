"""Activations: every one on the menu is elementwise, documented, and bounded as it says."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS, Activation, register_activation
from init_bench.activations.recognition import bounds_of
from init_bench.errors import InitBenchError

BOUNDED = [name for name, phi in ACTIVATIONS.items() if phi.bounds]
GRID = torch.linspace(-50, 50, 4001, dtype=torch.float64)


def formula_of(name: str, a: Tensor) -> Tensor:
    """Return φ(a) by the formula that the menu prints, the second way of computing."""
    words = {
        "exp": torch.exp,
        "tanh": torch.tanh,
        "log": torch.log,
        "max": lambda x, y: torch.clamp(torch.as_tensor(y), min=x),
        "min": lambda x, y: torch.clamp(torch.as_tensor(y), max=x),
        "a": a,
        "Φ": 0.5 * (1 + torch.erf(a / math.sqrt(2))),
        "where": torch.where,
    }
    return torch.as_tensor(eval(PYTHON_FORMULAS[name], words))


PYTHON_FORMULAS = {
    "identity": "a",
    "sigmoid": "1 / (1 + exp(-a))",
    "tanh": "tanh(a)",
    "relu": "max(0, a)",
    "leaky_relu": "max(0, a) + 0.01 * min(0, a)",
    "elu": "where(a > 0, a, exp(a) - 1)",
    "selu": "1.0507 * where(a > 0, a, 1.6733 * (exp(a) - 1))",
    "celu": "max(0, a) + min(0, exp(a) - 1)",
    "gelu": "a * Φ",
    "silu": "a / (1 + exp(-a))",
    "mish": "a * tanh(log(1 + exp(a)))",
    "softplus": "log(1 + exp(a))",
    "softsign": "a / (1 + abs(a))",
    "hardtanh": "min(1, max(-1, a))",
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_computes_the_formula_it_states(name: str) -> None:
    # selu's constants are printed to five digits; log(1 + exp(a)) is torch's to 2e-9 (threshold).
    expected = formula_of(name, GRID)
    torch.testing.assert_close(ACTIVATIONS[name].module()(GRID), expected, rtol=3e-5, atol=3e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_elementwise_and_has_no_parameters(name: str) -> None:
    module = ACTIVATIONS[name].module()
    alone = torch.stack([module(a) for a in GRID[::100]])
    torch.testing.assert_close(module(GRID[::100]), alone, rtol=1e-12, atol=1e-12)
    assert not list(module.parameters())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_makes_a_new_module_and_leaves_its_input(name: str) -> None:
    phi, a = ACTIVATIONS[name], GRID.clone()
    phi.module()(a)
    assert torch.equal(a, GRID)
    assert phi.module() is not phi.module()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_states_formula_and_source(name: str) -> None:
    assert ACTIVATIONS[name].formula and ACTIVATIONS[name].source


@pytest.mark.parametrize("name", BOUNDED)
@given(a=st.floats(-1e30, 1e30))
def test_a_bounded_activation_stays_in_its_bounds(name: str, a: float) -> None:
    low, high = ACTIVATIONS[name].bounds or (math.nan, math.nan)
    assert low <= ACTIVATIONS[name].module()(torch.tensor(a)).item() <= high


@pytest.mark.parametrize("name", BOUNDED)
def test_the_bounds_are_reached_in_the_limit(name: str) -> None:
    ends = ACTIVATIONS[name].module()(torch.tensor([-1e6, 1e6], dtype=torch.float64))
    assert ends.tolist() == pytest.approx(ACTIVATIONS[name].bounds, abs=1e-5)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS.keys() - set(BOUNDED)))
def test_an_activation_without_bounds_has_none(name: str) -> None:
    ends = ACTIVATIONS[name].module()(torch.tensor([-1e30, 1e30]))
    assert ends.abs().max() > 1e29


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_capture_knows_the_bounds_of_every_module_on_the_menu(name: str) -> None:
    assert bounds_of(ACTIVATIONS[name].module()) == ACTIVATIONS[name].bounds


def test_hardtanh_has_the_bounds_it_was_made_with() -> None:
    assert bounds_of(nn.Hardtanh(-2, 3)) == (-2.0, 3.0)


def test_other_modules_have_no_bounds() -> None:
    assert bounds_of(nn.Linear(2, 2)) is None


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_taken_name_is_refused_and_not_replaced(name: str) -> None:
    before = ACTIVATIONS[name]
    other = Activation(formula="a", source="none", module=nn.Identity)
    with pytest.raises(InitBenchError, match=f"activation '{name}' is taken; choose another"):
        register_activation(name, other)
    assert ACTIVATIONS[name] is before


def test_a_registered_activation_is_on_the_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    relu6 = Activation(formula="min(max(0, a), 6)", source="Krizhevsky, 2010", module=nn.ReLU6)
    monkeypatch.setitem(ACTIVATIONS, "relu6", relu6)  # restores the whole entry afterwards
    del ACTIVATIONS["relu6"]
    register_activation("relu6", relu6)
    assert ACTIVATIONS["relu6"] is relu6
