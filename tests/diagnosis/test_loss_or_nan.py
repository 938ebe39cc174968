"""A loss that refuses nan, such as the cross-entropy of probabilities, ends no call."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from init_bench.diagnosis.coordinate_check import coord_check
from init_bench.diagnosis.learning_rates.pipeline import rate_window
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.recommendation import recommend
from init_bench.errors import InitBenchError

X = torch.rand(16, 6, generator=torch.Generator().manual_seed(0))
STEEP = 1e30


def refusing(output: Tensor, targets: Tensor) -> Tensor:
    """Return a loss so steep that training diverges at every usual rate, and that refuses nan."""
    return STEEP * functional.binary_cross_entropy(output.sigmoid(), targets)


def network(width: int = 32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 6))


def test_training_that_diverges_is_a_step_of_a_diagnosis() -> None:
    found = diagnose(
        network(), X, X, loss_fn=refusing, capture_at=20,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1.0),
    )  # fmt: skip
    assert math.isnan(list(found.losses.values())[-1])


def test_rates_that_diverge_count_as_such() -> None:
    found = rate_window(network(), X, X, refusing, optimizer="sgd", goal=0.1 * STEEP)
    assert "diverges" in set(found.table["outcome"])


def test_initializers_that_diverge_are_ranked() -> None:
    found = recommend(network(), X, X, refusing, inits=["he_normal", "lecun_normal"], seeds=3)
    assert list(found.table["diverged"]) == [3, 3]


def test_widths_that_diverge_are_recorded() -> None:
    found = coord_check(
        network, [8, 16, 32], (X, X), loss_fn=refusing, seeds=2,
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1.0),
    )  # fmt: skip
    assert found.worst == "diverges"


def test_a_weight_that_is_not_finite_is_named_though_the_loss_refuses_it() -> None:
    model = network()
    model.get_parameter("2.weight").data[0, 0] = math.nan
    found = diagnose(model, X, X, loss_fn=refusing)
    assert found.bad[["layer", "verdict"]].to_numpy().tolist()[0] == ["2", "nonfinite"]


def test_a_loss_that_refuses_a_finite_output_is_an_error() -> None:
    with pytest.raises(InitBenchError, match="between 0 and 1"):
        diagnose(network(), X, X, loss_fn=functional.binary_cross_entropy)
