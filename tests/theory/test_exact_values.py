"""Exact values of the theory, each against a number recomputed elsewhere or a second way."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from init_bench.errors import InitBenchError
from init_bench.theory import (
    MeanField,
    TransformerBlock,
    dead_probability,
    depth_scales,
    gradient_correlation,
    jacobian_spectrum,
    learning_time,
    length_ratio,
    residual_std,
    signal_path,
    sine_length,
    transformer_profile,
)

HE = MeanField(activation="relu", sigma_w2=2.0)
LINEAR = MeanField(activation="identity", sigma_w2=1.0)
TANH_SCALES = {
    1.0: (0.19359, 3.63),
    1.3: (0.31532, 7.83),
    1.5: (0.41804, 15.79),
    1.7: (0.53308, 74.9),
    1.9: (0.65711, 39.35),
    2.5: (1.06396, 11.80),
    4.0: (2.19549, 6.98),
}
"""Of tanh at bias variance 0.05: sigma_w2 and, of each, q_star and xi_c."""


@pytest.mark.slow
def test_depth_scales_of_tanh() -> None:
    table = depth_scales("tanh", list(TANH_SCALES), sigma_b2=0.05)
    q_star, xi_c = zip(*TANH_SCALES.values(), strict=True)
    assert table["q_star"].tolist() == pytest.approx(q_star, abs=1e-5)
    assert table["xi_c"].tolist() == pytest.approx(xi_c, rel=2e-3)


def test_a_signal_path_ends_at_the_fixed_points() -> None:
    net = MeanField(activation="tanh", sigma_w2=2.5, sigma_b2=0.05)
    path = signal_path(net, 90)
    assert path["q"].iloc[-1] == pytest.approx(net.q_star, rel=1e-6)
    assert path["c"].iloc[-1] == pytest.approx(net.c_star, rel=1e-2)
    near = path.iloc[30:60]
    rate = np.polyfit(near["layer"], np.log(np.abs(near["c"] - net.c_star)), 1)[0]
    assert -1 / rate == pytest.approx(net.xi_c, rel=0.02)


@pytest.mark.parametrize(
    ("units", "layers", "expected"), [(2, 3, 0.578), (3, 10, 0.737), (4, 20, 0.725), (8, 20, 0.075)]
)
def test_dead_probability(units: int, layers: int, expected: float) -> None:
    assert dead_probability([units] * layers) == pytest.approx(expected, abs=5e-4)


def test_dead_probability_of_wide_layers_keeps_its_digits() -> None:
    assert dead_probability([100] * 3) == pytest.approx(3 * 2.0**-100, rel=1e-12)


@pytest.mark.parametrize(("units", "layers", "expected"), [(50, 5, 1.611), (200, 10, 1.280)])
def test_length_ratio(units: int, layers: int, expected: float) -> None:
    assert length_ratio([units] * layers) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("layers", [1, 2, 4, 10])
def test_the_edge_of_a_product_of_gaussian_matrices(layers: int) -> None:
    found = jacobian_spectrum(LINEAR, layers)
    assert found.largest == pytest.approx((layers + 1) ** (layers + 1) / layers**layers, rel=1e-6)
    assert (found.mean, found.variance) == pytest.approx((1, layers))


def test_the_edge_of_orthogonal_relu_is_that_of_two_projections() -> None:
    """One layer is 2 D: half of the squared values are 2. Two are 4 D Q D: the edge is 4."""
    assert jacobian_spectrum(HE, 1, weights="orthogonal").largest == pytest.approx(2, rel=1e-5)
    assert jacobian_spectrum(HE, 2, weights="orthogonal").largest == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_spectrum_is_that_of_a_wide_matrix(weights: str) -> None:
    n, layers = 400, 3
    generator = torch.Generator().manual_seed(0)
    product = torch.eye(n)
    for _ in range(layers):
        w = torch.randn(n, n, generator=generator) / math.sqrt(n)
        w = w if weights == "gaussian" else torch.linalg.qr(w)[0]
        on = torch.rand(n, 1, generator=generator) < 0.5
        product = on * (math.sqrt(2) * w @ product)
    squares = torch.linalg.svdvals(product).square()
    found = jacobian_spectrum(HE, layers, weights=weights)
    assert squares.mean().item() == pytest.approx(found.mean, rel=0.1)
    assert squares.var().item() == pytest.approx(found.variance, rel=0.25)
    assert squares.max().item() == pytest.approx(found.largest, rel=0.1)


def test_orthogonal_tanh_is_nearer_to_isometry_than_gaussian() -> None:
    net = MeanField(activation="tanh", sigma_w2=1.05, sigma_b2=1e-5)
    gaussian, orthogonal = (
        jacobian_spectrum(net, 20, weights=weights) for weights in ("gaussian", "orthogonal")
    )
    assert gaussian.mean == orthogonal.mean
    assert orthogonal.largest < 3 < gaussian.largest and orthogonal.variance < gaussian.variance


GRADIENTS = {1: 0.5, 2: 0.3016, 5: 0.1046, 10: 0.0337, 20: 0.0082, 50: 0.0009}


@pytest.mark.parametrize("depth", GRADIENTS)
def test_gradient_correlation_of_he(depth: int) -> None:
    assert gradient_correlation(HE, depth) == pytest.approx(GRADIENTS[depth], abs=5e-5)


def test_gradients_of_residual_networks_stay_alike_for_longer() -> None:
    branch = MeanField(activation="relu", sigma_w2=1.0)
    plain, residual = (gradient_correlation(branch, 20, residual=r) for r in (False, True))
    assert 5 * plain < residual < 1


def test_gradients_of_a_linear_network_are_the_same() -> None:
    assert gradient_correlation(LINEAR, 30, cosine=0.1) == pytest.approx(1)


@pytest.mark.parametrize("layers", [1, 2, 3, 8])
def test_learning_time_is_that_of_gradient_flow(layers: int) -> None:
    u, time, step = 0.05, 0.0, 1e-4
    while u < 0.5:
        u += step * layers * u ** (2 - 2 / layers) * (1 - u)
        time += step
    assert learning_time(1.0, 0.05, 0.5, layers=layers) == pytest.approx(time, rel=1e-3)


def test_sine_length() -> None:
    q = sine_length()
    assert q == pytest.approx(1 - math.exp(-2 * q), rel=1e-12)
    assert math.sqrt(q) == pytest.approx(0.8926, abs=5e-5)
    assert sine_length(1.01) == pytest.approx(0.01, rel=0.05)


def test_residual_std_grows_as_the_recursion() -> None:
    assert residual_std(4, 0.5)[-1] == pytest.approx(1.5**2)
    assert residual_std(4, 0.5, norm="pre")[-1] == pytest.approx(math.sqrt(3))
    assert residual_std(4, 0.5, norm="post").tolist() == [1.0] * 5


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_of_torch_is_as_predicted(norm_first: bool) -> None:
    torch.manual_seed(0)
    kind = {"norm_first": norm_first, "activation": "gelu", "batch_first": True, "dropout": 0.0}
    layers = [nn.TransformerEncoderLayer(256, 4, 1024, **kind) for _ in range(3)]  # type: ignore[arg-type]
    for layer in layers:
        for weight in (p for p in layer.parameters() if p.dim() > 1):
            nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1]))
    expected = transformer_profile([*map(TransformerBlock.of, layers)], tokens=50)
    after = expected[expected["part"] == "mlp"]
    x = torch.randn(8, 50, 256)
    for layer, row in zip(layers, after.to_dict("records"), strict=True):
        x = layer(x)
        directions = nn.functional.normalize(x, dim=-1)
        cosine = (directions @ directions.mT - torch.eye(50)).sum((-1, -2)).mean() / (50 * 49)
        assert x.std().item() == pytest.approx(row["std"], rel=0.05)
        assert cosine.item() == pytest.approx(row["correlation"], abs=0.05)


BAD: list[tuple[Any, str]] = [
    (lambda: dead_probability([]), "no layer"),
    (lambda: length_ratio([0]), "a width"),
    (lambda: jacobian_spectrum(HE, 0), "depth"),
    (lambda: jacobian_spectrum(HE, 2, weights="orthgonal"), "did you mean 'orthogonal'"),
    (lambda: gradient_correlation(HE, 0), "depth"),
    (lambda: learning_time(1.0, 0.5, 0.1), "0 < start < end < strength"),
    (lambda: sine_length(0.9), "dies out"),
    (lambda: residual_std(3, 1.0, norm="before"), "unknown norm"),
    (lambda: transformer_profile([], tokens=3), "no block"),
    (lambda: signal_path(HE, 0), "depth"),
]


@pytest.mark.parametrize(("call", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_input_is_named(call: Any, words: str) -> None:
    with pytest.raises(InitBenchError, match=words):
        call()
