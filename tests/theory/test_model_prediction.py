"""What mean field says of a model as it stands: its own layers, its own weights, or nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.models import mlp
from init_bench.theory import Inputs, MeanField, expected_profile
from init_bench.theory.model_prediction import COLUMNS, expected_of
from init_bench.training.networks import build
from tests.models_to_diagnose import Functional, batch, sound

X = batch()[0]


def linear(sigma_w2: float = 1.5, sigma_b2: float = 0.2) -> nn.Linear:
    """Return a layer whose weights and biases have exactly these variances."""
    layer = nn.Linear(30, 30)
    signs = torch.tensor([1.0, -1.0]).repeat(15)
    layer.weight.data = signs.repeat(30, 1) * (sigma_w2 / 30) ** 0.5
    layer.bias.data = signs * sigma_b2**0.5
    return layer


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "identity"])
def test_it_is_the_profile_of_the_models_own_variances(name: str) -> None:
    phi = ACTIVATIONS[name].module
    found = expected_of(nn.Sequential(linear(), phi(), linear(), phi(), linear()), X)
    assert found is not None and list(found) == list(COLUMNS)
    table = expected_profile([30] * 4, 1.5, name, inputs=X, sigma_b2=0.2)
    signal = table[table["kind"] != "gradient"]
    gradient = table[table["kind"] == "gradient"]
    assert found["layer"].tolist() == ["0", "1", "2", "3", "4"]
    for column in ("std", "sample_std"):
        assert found[column].to_numpy() == pytest.approx(signal[column].to_numpy(), rel=1e-5)
    assert found["gradient"].to_numpy() == pytest.approx(gradient["std"].to_numpy(), rel=1e-5)


def test_layers_may_differ_lack_a_nonlinearity_or_end_in_one() -> None:
    model = nn.Sequential(
        nn.Flatten(), linear(1.0, 0.0), linear(2.0, 0.0), nn.Tanh(), nn.Sequential(nn.Identity())
    )
    found = expected_of(model, X.reshape(len(X), 5, 6))
    assert found is not None and found["layer"].tolist() == ["1", "2", "3"]
    q = 2 * Inputs.of(X).second_moment
    z = float(MeanField(activation="tanh", sigma_w2=1).nonlinearity.second_moment(q))
    assert found["std"].to_numpy() == pytest.approx(np.sqrt([q / 2, q, z]), rel=1e-5)
    assert found["gradient"].iloc[-1] == 1


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_wide_network_is_measured_where_it_is_expected(activation: str) -> None:
    """To a tenth: its numbers scatter by 1/√n around the expected ones, 4 % for 600 units."""
    spec = f"he_normal(nonlinearity='{activation}')"
    model = build(lambda: mlp(30, 600, 600, 3, activation), spec, seed=0)
    found = expected_of(model, X)
    assert found is not None
    with torch.no_grad():
        std = [model[:at](X).std(correction=0).item() for at in range(1, 6)]  # type: ignore[index]
    assert found["std"].to_numpy() == pytest.approx(std, rel=0.1)


def of_constant(value: float) -> nn.Module:
    model = sound()
    model.get_submodule("fc2").weight.data.fill_(value)  # type: ignore[operator]
    return model


def of_biases(value: float) -> nn.Module:
    model = sound()
    model.get_submodule("fc2").bias.data.fill_(value)  # type: ignore[operator]
    return model


SHARED = nn.ReLU()


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(30, 30), SHARED, nn.Sequential(nn.Linear(30, 30), SHARED)),
        Functional(),
        nn.Linear(30, 2),
        nn.Sequential(),
        nn.Sequential(nn.ReLU(), nn.Linear(30, 2)),
        nn.Sequential(nn.Linear(30, 9), nn.LeakyReLU(0.3)),
        nn.Sequential(nn.Linear(30, 9), nn.ReLU(), nn.ReLU()),
        nn.Sequential(nn.Linear(30, 9), nn.BatchNorm1d(9)),
        nn.Sequential(nn.Linear(30, 9), nn.Dropout()),
        nn.Sequential(nn.Linear(6, 9), nn.ReLU()),
        of_constant(0.1),
        of_constant(torch.nan),
        of_biases(-10.0),
    ],
    ids=lambda model: repr(model).replace("\n", ""),
)
def test_of_what_it_does_not_cover_it_says_nothing(model: nn.Module) -> None:
    assert expected_of(model, X) is None


def test_arguments_that_are_no_batch_are_not_covered() -> None:
    assert expected_of(sound(), {"input": X}) is None
    assert expected_of(sound(), X.reshape(2, 32, 30)) is None
    assert expected_of(sound(), torch.tensor(1.0)) is None
    assert expected_of(sound(), X.long()) is None
