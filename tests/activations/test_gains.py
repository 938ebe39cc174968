"""Gains: torch's numbers where torch has them, exact ones for everything else."""

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import calculate_gain, he_normal_


def torch_knows(name: str) -> bool:
    try:
        nn.init.calculate_gain(name)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


CONVOLUTIONS = [f"conv{way}{n}d" for way in ("", "_transpose") for n in (1, 2, 3)]
TORCHS = [name for name in ("linear", *CONVOLUTIONS, *ACTIVATIONS) if torch_knows(name)]
OURS = [name for name in ACTIVATIONS if name not in (*TORCHS, "identity")]

CLOSED_FORMS = {
    "identity": 1.0,
    "relu": 2.0,
    "leaky_relu": 2 / (1 + 0.01**2),
    # E[min(1, z²)] = 1 - √(2/(πe)) with erf(1/√2) - √(2/(πe)) + erfc(1/√2)
    "hardtanh": 1 / (1 - math.sqrt(2 / (math.pi * math.e))),
    # Klambauer et al., 2017: the constants of selu are chosen so that variance 1 is a fixed point.
    "selu": 1.0,
}


@pytest.mark.parametrize("name", TORCHS)
def test_gains_that_torch_knows_are_torchs(name: Any) -> None:
    assert calculate_gain(name) == nn.init.calculate_gain(name)


@given(slope=st.floats(-10, 10) | st.integers(-3, 3))
def test_the_slope_of_leaky_relu_is_taken_as_torch_takes_it(slope: float) -> None:
    assert calculate_gain("leaky_relu", slope) == nn.init.calculate_gain("leaky_relu", slope)


def test_torch_lacks_most_of_the_menu_and_we_do_not() -> None:
    assert {"gelu", "silu", "elu", "mish", "softplus"} <= set(OURS)
    assert all(calculate_gain(name) == calculate_gain(name, exact=True) for name in OURS)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_exact_gains_are_the_closed_forms(name: str) -> None:
    assert calculate_gain(name, exact=True) ** 2 == pytest.approx(CLOSED_FORMS[name], rel=1e-12)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_linear_exactly_too(name: str) -> None:
    assert calculate_gain(name, exact=True) == 1.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_exact_gain_keeps_the_second_moment(name: str) -> None:
    """gain² times the mean of φ(z)² over n draws is 1 within 6 standard errors of that mean."""
    z = torch.randn(200_000, generator=stream(0, name), dtype=torch.float64)
    squares = ACTIVATIONS[name].module()(z).square() * calculate_gain(name, exact=True) ** 2
    error = squares.std().item() / math.sqrt(len(z))
    assert abs(squares.mean().item() - 1) < 6 * error


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_callable_gets_the_exact_gain(name: str) -> None:
    phi = ACTIVATIONS[name]
    exact = calculate_gain(name, exact=True)
    assert calculate_gain(phi.module()) == pytest.approx(exact, rel=1e-3)  # kinks are not told
    assert calculate_gain(phi) == pytest.approx(exact, rel=1e-14)  # type: ignore[arg-type]


def test_any_function_of_a_tensor_has_a_gain() -> None:
    # E[sin²] = (1 - e⁻²)/2 and E[z⁴] = 3
    assert calculate_gain(torch.sin) ** -2 == pytest.approx((1 - math.exp(-2)) / 2, rel=1e-12)
    assert calculate_gain(lambda a: a**2) ** -2 == pytest.approx(3, rel=1e-12)


def test_a_module_with_parameters_and_training_mode_is_left_as_it_is() -> None:
    module = nn.PReLU(init=0.5).train()
    assert calculate_gain(module) ** 2 == pytest.approx(2 / 1.25, rel=1e-12)
    assert module.training and module.weight.dtype is torch.float32


@pytest.mark.parametrize("name", OURS)
def test_he_normal_takes_every_activation_of_the_menu(name: str) -> None:
    weight = he_normal_(torch.empty(300, 400), nonlinearity=name, generator=stream(0, "w"))
    plain = he_normal_(torch.empty(300, 400), nonlinearity="linear", generator=stream(0, "w"))
    torch.testing.assert_close(weight, plain * calculate_gain(name), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("nonlinearity", "param", "message"),
    [
        ("gelo", None, r"unknown nonlinearity 'gelo': did you mean '.elu'\? Known: linear,"),
        ("leaky_relu", math.nan, "the slope of leaky_relu must be a finite number, got nan"),
        ("leaky_relu", True, "the slope of leaky_relu must be a finite number, got True"),
        (lambda a: 0 * a, None, r"no gain: E\[φ\(z\)²\] of this activation is 0"),
        (lambda a: a.sum(), None, r"returns one of the same shape; this one returned shape \(\)"),
        (lambda a: "x", None, "this one returned 'str' for shape"),
        (3, None, "a name on the menu or a function of a tensor, got 3"),
    ],
)
def test_what_has_no_gain_is_refused(nonlinearity: Any, param: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        calculate_gain(nonlinearity, param)


def test_the_error_lists_the_whole_menu() -> None:
    with pytest.raises(InitBenchError, match=re.escape(", ".join(list(ACTIVATIONS)[-3:]))):
        calculate_gain("nope")
