"""Maps, fixed points and depth scales: closed forms, iteration as the second way."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from init_bench.activations.menu import ACTIVATIONS
from init_bench.errors import InitBenchError
from init_bench.theory.mean_field import MeanField

NETS = [
    MeanField(activation=name, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    for name in ACTIVATIONS
    for sigma_w2, sigma_b2 in ((0.8, 0.1), (1.5, 0.0), (4.0, 0.05))
]

STANDING = [net for net in NETS if 0 < net.q_star < math.inf]


def name_of(net: MeanField) -> str:
    return f"{net.activation}-{net.sigma_w2}-{net.sigma_b2}"


@pytest.mark.parametrize("net", NETS, ids=name_of)
def test_q_star_is_where_iteration_leads(net: MeanField) -> None:
    q = 1.0
    for _ in range(2000):
        before, q = q, float(net.length_map(q))
        if q > 1e9 or abs(q - before) < 1e-15 * q:
            break
    if net.q_star == math.inf:
        assert q > 1e9
    else:
        assert q == pytest.approx(net.q_star, rel=1e-6, abs=2e-3)  # 0 is left by 1/layers at worst


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS, ids=name_of)
def test_the_maps_stand_still_at_their_fixed_points(net: MeanField) -> None:
    if 0 < net.q_star < math.inf:
        assert net.length_map(net.q_star) == pytest.approx(net.q_star, rel=1e-9)
    assert net.correlation_map(1.0) == pytest.approx(1, rel=1e-9)
    assert net.correlation_map(net.c_star) == pytest.approx(net.c_star, rel=1e-8)


@pytest.mark.parametrize("net", NETS, ids=name_of)
def test_c_star_draws_other_correlations(net: MeanField) -> None:
    for c in (0.0, 0.5, 0.9):
        after = float(net.correlation_map(c))
        assert abs(after - net.c_star) <= abs(c - net.c_star) * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("net", STANDING, ids=name_of)
def test_chi_1_is_the_slope_of_the_correlation_map_at_1(net: MeanField) -> None:
    """The slope at 1 - h is below χ₁ by c'' h, or by √h where φ' jumps."""
    h = 1e-8
    below = 1 - float(net.correlation_map(1 - h))
    assert below / h == pytest.approx(net.chi_1, rel=1e-3)


@pytest.mark.parametrize("net", NETS, ids=name_of)
def test_depth_scales_are_rates_of_the_maps(net: MeanField) -> None:
    """One layer multiplies the distance from the fixed point by exp(-1/ξ)."""
    if net.c_star < 1 - 1e-3:
        d = 1e-4
        moved = float(net.correlation_map(net.c_star + d)) - net.c_star
        assert abs(moved) / d == pytest.approx(math.exp(-1 / net.xi_c), rel=1e-2)
    if 0 < net.q_star < math.inf:
        d = 1e-5 * net.q_star
        moved = float(net.length_map(net.q_star + d)) - net.q_star
        assert abs(moved) / d == pytest.approx(math.exp(-1 / net.xi_q), rel=1e-3)


@given(sigma_w2=st.floats(0.05, 6))
def test_relu_grows_by_half_of_sigma_w2(sigma_w2: float) -> None:
    net = MeanField(activation="relu", sigma_w2=sigma_w2)
    assert net.length_map(3.0) == pytest.approx(1.5 * sigma_w2, rel=1e-12)
    assert net.chi_1 == pytest.approx(sigma_w2 / 2, rel=1e-12)
    expected = 1.0 if sigma_w2 == 2 else math.inf if sigma_w2 > 2 else 0.0
    assert net.q_star == expected


@given(sigma_w2=st.floats(0.05, 1.95), sigma_b2=st.floats(0.001, 5))
def test_relu_with_biases_ends_at_a_length_of_its_own(sigma_w2: float, sigma_b2: float) -> None:
    net = MeanField(activation="relu", sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert net.q_star == pytest.approx(sigma_b2 / (1 - sigma_w2 / 2), rel=1e-9)
    assert net.xi_q == pytest.approx(1 / abs(math.log(sigma_w2 / 2)), rel=1e-9)


def test_the_correlation_map_of_relu_is_the_arccosine_kernel() -> None:
    net = MeanField(activation="relu", sigma_w2=2.0)
    c = np.array([-1.0, -0.3, 0.0, 0.5, 1.0])
    expected = (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c) / np.pi
    np.testing.assert_allclose(net.correlation_map(c), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "relu", "sigma_w2": -1.0}, "sigma_w2 must be a finite number >= 0"),
        ({"activation": "relu", "sigma_w2": math.nan}, "sigma_w2 must be a finite number >= 0"),
        (
            {"activation": "relu", "sigma_w2": 1.0, "sigma_b2": "x"},
            "sigma_b2 must be a finite number >= 0, got 'x'",
        ),
        ({"activation": "relo", "sigma_w2": 1.0}, "unknown activation 'relo'"),
    ],
)
def test_a_network_that_cannot_be_is_refused_at_birth(arguments: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        MeanField(**arguments)
