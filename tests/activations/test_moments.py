"""Moments of φ against closed forms: the arccosine kernel, the arcsine law, Stein's lemma."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from init_bench.activations.menu import ACTIVATIONS, Activation
from init_bench.activations.moments import GaussianMoments
from init_bench.errors import InitBenchError

lengths = st.floats(-6, 6).map(lambda log: 10**log)
correlations = st.floats(-1, 1) | st.floats(-15, -3).map(lambda log: 1 - 10**log)


@given(q=lengths)
def test_relu_halves_every_moment(q: float) -> None:
    relu = GaussianMoments("relu")
    assert relu.second_moment(q) == pytest.approx(q / 2, rel=1e-13)
    assert relu.slope_moment(q) == pytest.approx(0.5, rel=1e-13)
    assert relu.growth(q) == pytest.approx(0.5, rel=1e-13)
    assert relu.mean(q) == pytest.approx(math.sqrt(q / (2 * math.pi)), rel=1e-13)


@given(q=lengths, c=correlations)
def test_relu_has_the_arccosine_kernel(q: float, c: float) -> None:
    """Cho & Saul, Kernel methods for deep learning, 2009: degrees 1 and 0."""
    relu, angle = GaussianMoments("relu"), math.acos(c)
    first = (math.sqrt(1 - c * c) + (math.pi - angle) * c) / (2 * math.pi)
    assert relu.kernel(q, c) / q == pytest.approx(first, rel=1e-10, abs=1e-13)
    zeroth = (math.pi - angle) / (2 * math.pi)
    assert relu.slope_kernel(q, c) == pytest.approx(zeroth, rel=1e-10, abs=1e-13)


@given(q=lengths, c=correlations)
def test_erf_has_the_arcsine_kernel(q: float, c: float) -> None:
    """Williams, Computing with infinite networks, 1997."""
    expected = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    found = GaussianMoments(torch.erf).kernel(q, c)
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-13)


@given(q=lengths)
def test_hardtanh_has_kinks_where_its_entry_says(q: float) -> None:
    edge = 1 / math.sqrt(q)
    inside = math.erf(edge / math.sqrt(2))
    density = math.exp(-(edge**2) / 2) / math.sqrt(2 * math.pi)
    phi = GaussianMoments("hardtanh")
    assert phi.slope_moment(q) == pytest.approx(inside, rel=1e-12)
    second = q * (inside - 2 * edge * density) + math.erfc(edge / math.sqrt(2))
    assert phi.second_moment(q) == pytest.approx(second, rel=1e-9)  # closed form cancels at large q


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(q=st.floats(-4, 3).map(lambda log: 10**log))
def test_growth_is_the_derivative_of_the_second_moment(name: str, q: float) -> None:
    """A central difference over 1e-4 q errs by (1e-4)² / 6 times the third derivative."""
    phi, step = GaussianMoments(name), 1e-4
    up, down = phi.second_moment(q * (1 + step)), phi.second_moment(q * (1 - step))
    rounding = 1e-15 * float(up) / (q * step)
    assert phi.growth(q) == pytest.approx(float(up - down) / (2 * q * step), rel=1e-7, abs=rounding)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(q=st.floats(-3, 2).map(lambda log: 10**log), c=st.floats(-0.9, 0.99))
def test_the_slope_kernel_is_the_derivative_of_the_kernel(name: str, q: float, c: float) -> None:
    """Price's theorem: ∂E[φφ]/∂(qc) = E[φ'φ'], here as a difference quotient."""
    phi, step = GaussianMoments(name), 1e-4
    difference = (phi.kernel(q, c + step) - phi.kernel(q, c - step)) / (2 * step * q)
    size = float(phi.slope_moment(q)) + 1e-15 * float(phi.second_moment(q)) / (q * step)
    assert phi.slope_kernel(q, c) == pytest.approx(difference, rel=1e-5, abs=1e-6 * size + 1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("c", [-0.7, 0.0, 0.4, 0.95])
def test_the_kernel_is_that_of_drawn_pairs(name: str, c: float) -> None:
    """Within 6 standard errors of the mean over 100 000 pairs."""
    z = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    q = 1.7
    a, b = math.sqrt(q) * z[0], math.sqrt(q) * (c * z[0] + math.sqrt(1 - c * c) * z[1])
    module = ACTIVATIONS[name].module()
    products = module(a) * module(b)
    error = products.std().item() / math.sqrt(products.numel())
    assert abs(GaussianMoments(name).kernel(q, c) - products.mean().item()) < 6 * error


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equal_inputs_have_the_second_moment_as_their_kernel(name: str) -> None:
    phi = GaussianMoments(name)
    assert phi.kernel(2.0, 1.0) == pytest.approx(float(phi.second_moment(2.0)), rel=1e-13)
    assert phi.kernel(2.0, 0.0) == pytest.approx(float(phi.mean(2.0)) ** 2, abs=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("share", [1.9, 1.0, 0.6, 0.4, 0.01])
def test_the_spread_is_the_difference_of_the_moments(name: str, share: float) -> None:
    phi, q = GaussianMoments(name), 1.3
    difference = float(phi.second_moment(q)) - phi.kernel(q, 1 - share)
    assert phi.spread(q, q * share) == pytest.approx(difference, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_spread_of_near_inputs_keeps_its_digits(name: str) -> None:
    """As d → 0 it is d E[φ'²], less a share √d where φ' jumps; the difference is all rounding."""
    phi = GaussianMoments(name)
    expected = float(phi.slope_moment(1.0))
    for d in (1e-30, 1e-14, 0.9e-10, 1.1e-10):
        assert phi.spread(1.0, d) / d == pytest.approx(expected, rel=2 * math.sqrt(d) + 1e-9), d


@given(q=st.floats(-200, 0).map(lambda log: 10**log), c=st.floats(-1, 1))
def test_the_spread_of_relu_is_its_kernels_at_any_length(q: float, c: float) -> None:
    angle = math.acos(c)
    kernel = (math.sqrt(1 - c * c) + (math.pi - angle) * c) / (2 * math.pi)
    expected = 0.5 - kernel
    found = GaussianMoments("relu").spread(q, q * (1 - c)) / q
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [3.0, 1e-9, 1e-11])
def test_the_variance_is_what_the_mean_leaves(name: str, q: float) -> None:
    phi = GaussianMoments(name)
    expected = float(phi.second_moment(q)) - float(phi.mean(q)) ** 2
    assert phi.variance(q) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_slope_needs_functions_of_torch() -> None:
    with pytest.raises(InitBenchError, match="has no gradient: write it with torch's functions"):
        GaussianMoments(lambda a: torch.from_numpy(np.sin(a.detach().numpy()))).slope_moment(1.0)


def test_a_function_that_works_in_place_is_seen_right() -> None:
    relu = GaussianMoments(torch.nn.ReLU(inplace=True))
    assert relu.growth(3.0) == pytest.approx(0.5, rel=1e-13)


def test_kinks_of_a_plug_in_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    relu6 = Activation(formula="min(6, max(0, a))", source="x", module=torch.nn.ReLU6, kinks=(6.0,))
    monkeypatch.setitem(ACTIVATIONS, "relu6", relu6)
    expected = 0.5 * math.erf(6 / 3 / math.sqrt(2))
    assert GaussianMoments("relu6").slope_moment(9.0) == pytest.approx(expected, rel=1e-13)
    assert GaussianMoments(relu6).slope_moment(9.0) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("relo", "unknown activation 'relo': did you mean 'relu'"),
        (None, "a name on the menu or a function of a tensor, got None"),
    ],
)
def test_what_is_no_nonlinearity_is_refused(activation: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        GaussianMoments(activation)
