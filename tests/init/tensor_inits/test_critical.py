"""critical_normal: weights and biases at the edge of chaos."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from init_bench.activations.critical import critical_line
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import critical_normal_, he_normal_, initialize, parse

ALARM = 1e-9
"""Chance that one check of a right initializer fails; some twenty are made."""

POINTS = [("tanh", 0.0), ("tanh", 0.05), ("sigmoid", 0.0), ("elu", 0.3), ("gelu", 1.0), ("relu", 0)]


def assert_normal(values: torch.Tensor, variance: float) -> None:
    """Check the second moment against chi-squared and the whole distribution (Dvoretzky et al.)."""
    z = values.detach().double().flatten().numpy() / math.sqrt(variance)
    square = stats.chi2(z.size)
    assert square.ppf(ALARM / 2) < (z**2).sum() < square.isf(ALARM / 2)
    distance = stats.kstest(z, stats.norm.cdf, mode="asymp").statistic
    assert distance < math.sqrt(math.log(2 / ALARM) / (2 * z.size))


@pytest.mark.parametrize("shape", [(70, 20, 3), (64, 1024), (1024, 64)], ids=str)
@pytest.mark.parametrize(("activation", "sigma_b2"), POINTS)
def test_weights_have_the_critical_variance(
    activation: str, sigma_b2: float, shape: tuple[int, ...]
) -> None:
    weight = critical_normal_(torch.empty(shape), activation, sigma_b2, generator=stream(0, "w"))
    inputs = math.prod(shape[1:])
    assert_normal(weight, critical_line(activation, sigma_b2=sigma_b2) / inputs)


@pytest.mark.parametrize("sigma_b2", [0.05, 1.0])
def test_a_bias_has_the_variance_that_belongs_to_it(sigma_b2: float) -> None:
    bias = critical_normal_(torch.empty(3000), "tanh", sigma_b2, generator=stream(0, "b"))
    assert_normal(bias, sigma_b2)


def test_without_bias_variance_biases_are_zero() -> None:
    assert not critical_normal_(torch.full((5,), 7.0), "tanh", generator=stream(0, "b")).any()


def test_for_relu_it_is_he_normal() -> None:
    ours = critical_normal_(torch.empty(30, 40), "relu", generator=stream(0, "w"))
    theirs = he_normal_(torch.empty(30, 40), nonlinearity="relu", generator=stream(0, "w"))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_a_whole_model_gets_its_biases_from_streams_of_their_own() -> None:
    model = nn.Sequential(nn.Linear(400, 300), nn.Tanh(), nn.Conv1d(300, 2000, 1))
    spec = "critical_normal(nonlinearity='tanh', sigma_b2=0.05)"
    initialize(model, spec, seed=3)
    biases = [value.detach() for name, value in model.named_parameters() if name.endswith("bias")]
    assert_normal(torch.cat(biases), 0.05)
    for name, value in model.named_parameters():
        drawn = parse(spec)(torch.empty_like(value), generator=stream(3, name))
        assert torch.equal(drawn, value), name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("critical_normal(nonlinearity='softplus')", "none at any sigma_b2"),
        ("critical_normal(nonlinearity='gelu')", "no critical point at sigma_b2=0 that signals do"),
        ("critical_normal(nonlinearity='tahn')", "unknown activation 'tahn': did you mean 'tanh'"),
        ("critical_normal(sigma_b2=-1)", "sigma_b2 must be a finite number >= 0, got -1"),
    ],
)
def test_where_there_is_no_critical_point_nothing_is_filled(spec: str, message: str) -> None:
    weight = torch.full((3, 2), 9.0)
    with pytest.raises(InitBenchError, match=message):
        parse(spec)(weight)
    assert (weight == 9).all()
