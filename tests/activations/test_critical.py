"""The critical line: known points, its definition over the menu, and where there is none."""

import functools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.activations.critical import critical_line
from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.theory.mean_field import MeanField

HOMOGENEOUS = ("identity", "relu", "leaky_relu")
NOWHERE = {"softplus"}
"""Without a critical point at any bias."""
SOMEWHERE = [name for name in ACTIVATIONS if name not in NOWHERE]
BOUNDED = [name for name, phi in ACTIVATIONS.items() if phi.bounds]


def point(name: str, sigma_b2: float) -> float | None:
    try:
        return critical_line(name, sigma_b2=sigma_b2)
    except InitBenchError:
        return None


@functools.cache
def points_of(name: str) -> dict[float, float]:
    """Return the critical points of an activation: σ_w² by σ_b²."""
    found = {sigma_b2: point(name, sigma_b2) for sigma_b2 in (0.0, 0.05, 1.0, 10.0)}
    return {sigma_b2: sigma_w2 for sigma_b2, sigma_w2 in found.items() if sigma_w2 is not None}


@pytest.mark.parametrize(
    ("name", "sigma_b2", "sigma_w2"),
    [
        ("tanh", 0.05, 1.760955),
        ("tanh", 0.0, 1.0),
        ("relu", 0.0, 2.0),
        ("leaky_relu", 0.0, 2 / (1 + 0.01**2)),
        ("identity", 0.0, 1.0),
        ("hardtanh", 0.0, 1.0),
        ("softsign", 0.0, 1.0),
    ],
)
def test_known_points(name: str, sigma_b2: float, sigma_w2: float) -> None:
    found = critical_line(name, sigma_b2=sigma_b2)
    assert isinstance(found, float)
    assert found == pytest.approx(sigma_w2, abs=1e-6)


def test_most_of_the_menu_has_critical_points() -> None:
    assert {name for name in ACTIVATIONS if points_of(name)} == {*SOMEWHERE}


@pytest.mark.parametrize("name", SOMEWHERE)
def test_at_the_critical_point_chi_is_1_and_inputs_stay_apart(name: str) -> None:
    for sigma_b2, sigma_w2 in points_of(name).items():
        net = MeanField(activation=name, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
        assert net.chi_1 == pytest.approx(1, abs=1e-8)
        assert net.c_star == 1
        assert net.xi_c > 1e7 and net.xi_gradient > 1e7
        assert net.length_map(net.q_star) == pytest.approx(net.q_star, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SOMEWHERE)
def test_a_network_off_the_critical_length_returns_to_it_or_stays(name: str) -> None:
    for sigma_b2, sigma_w2 in points_of(name).items():
        net = MeanField(activation=name, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
        for factor in (0.8, 1.25):
            start = max(net.q_star, 0.1) * factor
            after = float(net.length_map(start))
            assert abs(after - net.q_star) <= abs(start - net.q_star) * (1 + 1e-9)


@pytest.mark.parametrize("name", BOUNDED)
@given(sigma_b2=st.floats(0, 20), more=st.floats(0.01, 20))
def test_the_line_of_a_bounded_activation_rises(name: str, sigma_b2: float, more: float) -> None:
    """More bias, more saturation, smaller slopes: the weights have to make up for it."""
    assert critical_line(name, sigma_b2=sigma_b2) < critical_line(name, sigma_b2=sigma_b2 + more)


@pytest.mark.parametrize("shift", [-0.05, 0.05])
def test_on_either_side_are_order_and_chaos(shift: float) -> None:
    sigma_w2 = critical_line("tanh", sigma_b2=0.05) * (1 + shift)
    net = MeanField(activation="tanh", sigma_w2=sigma_w2, sigma_b2=0.05)
    assert (net.chi_1 > 1) == (shift > 0)
    assert (net.c_star < 1) == (shift > 0)


def test_a_function_has_the_line_of_its_name() -> None:
    assert critical_line(torch.tanh, sigma_b2=0.05) == critical_line("tanh", sigma_b2=0.05)


def test_scaling_the_activation_scales_the_line() -> None:
    """With 3 tanh the same signal needs σ_w² / 9."""
    thrice = critical_line(lambda a: 3 * torch.tanh(a), sigma_b2=0.05)
    assert thrice * 9 == pytest.approx(critical_line("tanh", sigma_b2=0.05), rel=1e-10)


@pytest.mark.parametrize(
    ("activation", "sigma_b2", "message"),
    [
        *((name, 0.05, r"it has one at sigma_b2=0 \(sigma_w2=\d") for name in HOMOGENEOUS),
        *((name, 0.0, r"it has one at sigma_b2=0\.\d+ ") for name in ("gelu", "silu", "mish")),
        *((name, 0.0, "it has none at any sigma_b2: keep") for name in ("softplus", "hardshrink")),
        ("glu", 0.0, "glu depends on several pre-activations and has no moments of one"),
        ("tanh", -1.0, "sigma_b2 must be a finite number >= 0, got -1.0"),
        ("tahn", 0.0, "unknown activation 'tahn': did you mean 'tanh'"),
    ],
)
def test_where_there_is_no_critical_point_the_reason_is_given(
    activation: Any, sigma_b2: float, message: str
) -> None:
    with pytest.raises(InitBenchError, match=message):
        critical_line(activation, sigma_b2=sigma_b2)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish"])
def test_the_point_that_the_reason_names_is_there(name: str) -> None:
    with pytest.raises(InitBenchError) as caught:
        critical_line(name)
    sigma_b2, sigma_w2 = (
        float(word.split("=")[1].strip("(),")) for word in str(caught.value).split()[-4:-2]
    )
    assert critical_line(name, sigma_b2=sigma_b2) == pytest.approx(sigma_w2, rel=1e-3)
