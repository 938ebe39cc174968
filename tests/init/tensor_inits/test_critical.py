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


@pytest.mark.parametrize(
    ("behind", "sigma_w2"),
    [
        (nn.ReLU6(), 2.0),
        (nn.PReLU(), 2 / (1 + 0.25**2)),
        (nn.Softmax(-1), 1.0),
        (nn.LogSoftmax(-1), 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_torchs_other_nonlinearities_have_their_gain_and_scores_that_of_a_linear_layer(
    behind: nn.Module, sigma_w2: float
) -> None:
    row = initialize(nn.Sequential(nn.Linear(20, 5), behind), "critical_normal").table.iloc[0]
    assert row["gain"] == pytest.approx(math.sqrt(sigma_w2))
    assert row["std_nominal"] == pytest.approx(math.sqrt(sigma_w2 / 20))


def test_sines_are_critical_where_they_are_linear() -> None:
    class Sines(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(20, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(self.layer(x))

    row = initialize(Sines(), "critical_normal").table.iloc[0]
    assert (row["nonlinearity"], row["gain"]) == ("sin", pytest.approx(1))


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        (nn.GLU(), r"'2.weight', in front of glu: glu depends on several pre-activations"),
        (nn.Hardswish(), r"'2.weight', in front of hardswish: .* it has one at sigma_b2=0.916"),
    ],
    ids=["glu", "hardswish"],
)
def test_an_error_names_the_layer_and_the_way_out_works(behind: nn.Module, message: str) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 8), behind)
    with pytest.raises(InitBenchError, match=message) as caught:
        initialize(model, "critical_normal")
    assert str(caught.value).endswith("overrides={'2.weight': 'lecun_normal'}")
    report = initialize(model, "critical_normal", overrides={"2.weight": "lecun_normal"})
    gains = report.table.set_index("parameter").gain
    assert gains["0.weight"] == pytest.approx(math.sqrt(2)) and gains["2.weight"] == 1
    initialize(model, "critical_normal", keep=["2"])
