"""Sizes of updates: of the first in a diagnosis, and between two states of a model."""

import math

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.diagnosis.evidence.updates import parameter_copies, update_ratios


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 20, generator=generator), torch.arange(16) % 3


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3))


@pytest.mark.parametrize("capture_at", [(0,), (0, 3)])
def test_a_diagnosis_measures_the_first_update(capture_at: tuple[int, ...]) -> None:
    model, (x, y) = network(), batch()
    before = parameter_copies(model)
    found = ib.diagnose(
        model,
        x,
        y,
        capture_at=capture_at,
        optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=0.1),
    )
    assert not any(update_ratios(before, model).values()), "the weights are given back"
    first = found.weights[found.weights["step"] == 0]
    wanted = 0.1 * first["gradient_ratio"]  # of plain SGD, ΔW = lr · gradient
    assert first["update_ratio"].to_numpy() == pytest.approx(wanted.to_numpy(), rel=1e-4)
    assert found.weights.loc[found.weights["step"] > 0, "update_ratio"].isna().all()


def test_without_an_optimizer_there_is_no_update() -> None:
    found = ib.diagnose(network(), *batch())
    assert found.weights["update_ratio"].isna().all()


def test_what_stands_still_starts_at_zero_or_breaks_is_told_apart() -> None:
    model = network()
    first, last = (one for one in model if isinstance(one, nn.Linear))
    nn.init.zeros_(last.weight)
    first.bias.requires_grad_(False)
    before = parameter_copies(model)
    with torch.no_grad():
        last.weight.add_(1)
        last.bias[0] = math.nan
    found = update_ratios(before, model)
    wanted = {"0.weight": 0, "2.weight": math.inf, "2.bias": math.nan}
    assert found == pytest.approx(wanted, nan_ok=True)
