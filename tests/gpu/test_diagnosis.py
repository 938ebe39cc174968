"""Capture, diagnosis and initialization on a GPU against the CPU."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

import init_bench as ib
from init_bench.models import mlp

pytestmark = pytest.mark.gpu
X, Y = torch.rand(128, 784), torch.randint(10, (128,))
LOSS = nn.functional.cross_entropy


def _net(activation: str = "tanh") -> nn.Module:
    torch.manual_seed(0)
    return mlp(784, 10, width=50, depth=4, activation=activation)


def _on(device: torch.device, *values: Any) -> list[Any]:
    return [value.to(device) for value in values]


def test_capture_gives_the_numbers_of_the_cpu(device: torch.device) -> None:
    tables = []
    for where in (torch.device("cpu"), device):
        model, x, y = _on(where, _net(), X, Y)
        with ib.capture(model) as record:
            LOSS(model(x), y).backward()  # type: ignore[no-untyped-call]
        tables.append(record.table())
    pd.testing.assert_frame_equal(tables[0], tables[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("std", [0.01, None, 10.0])
def test_diagnose_gives_the_verdicts_of_the_cpu(std: float | None, device: torch.device) -> None:
    model = _net()
    if std is not None:
        for p in model.parameters():
            nn.init.normal_(p, std=std)
    here = ib.diagnose(model, X, Y, LOSS)
    there = ib.diagnose(model.to(device), X.to(device), Y.to(device), LOSS)
    columns = ["layer", "verdict", "severity"]
    assert here.verdicts[columns].equals(there.verdicts[columns])


class Reader(nn.Module):
    """Reads the rows of an image one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 40, num_layers=2, dropout=0.5, batch_first=True)
        self.head = nn.Linear(40, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.lstm(x.view(-1, 28, 28))[0][:, -1])
        return logits


@pytest.mark.parametrize("training", [True, False])
def test_an_lstm_is_diagnosed_as_on_the_cpu(training: bool, device: torch.device) -> None:
    """Its dropout, which CUDA draws inside a kernel, is off."""
    torch.manual_seed(0)
    model = Reader().train(training)
    here = ib.diagnose(model, X, Y, LOSS)
    there = ib.diagnose(model.to(device), X.to(device), Y.to(device), LOSS)
    columns = ["layer", "verdict", "severity"]
    assert here.verdicts[columns].equals(there.verdicts[columns])
    numbers = ["std", "sample_std", "gradient"]
    a, b = here.profile[numbers], there.profile[numbers]
    pd.testing.assert_frame_equal(a, b, rtol=1e-2, atol=1e-6)
    assert model.lstm.training == training and model.lstm.dropout == 0.5


def test_a_resnet_is_diagnosed(device: torch.device) -> None:
    torch.manual_seed(0)
    model, x = _on(device, resnet18(), torch.randn(8, 3, 64, 64))
    found = ib.diagnose(model, x, torch.arange(8).to(device), LOSS)
    assert not (found.verdicts["severity"] == "bad").any()


def test_labels_that_a_loss_leaves_out_do_not_end_the_work_of_the_device(
    device: torch.device,
) -> None:
    def log_likelihood(output: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.nll_loss(output.log(), targets, ignore_index=255)

    labels = torch.where(torch.arange(128) == 0, 255, Y)
    model, x, y = _on(device, nn.Sequential(_net(), nn.Softmax(1)), X, labels)
    ib.diagnose(model, x, y, log_likelihood)
    assert torch.ones(1, device=device).item() == 1


@pytest.mark.parametrize("init", ["he_normal", "orthogonal", "torch.default"])
def test_weights_have_the_bits_of_the_cpu(init: str, device: torch.device) -> None:
    here, there = _net(), _net().to(device)
    ib.initialize(here, init, seed=3)
    ib.initialize(there, init, seed=3)
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(p, q.cpu())


@pytest.mark.parametrize("init", ["lsuv", "krahenbuhl", "metainit(steps=3)", "gradinit(steps=3)"])
def test_initializers_that_look_at_data_agree(init: str, device: torch.device) -> None:
    here, there = _net("relu"), _net("relu").to(device)
    ib.initialize(here, init, batch=(X, Y), loss_fn=LOSS, seed=3)
    ib.initialize(there, init, batch=_on(device, X, Y), loss_fn=LOSS, seed=3)
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(p, q.cpu(), rtol=1e-3, atol=1e-4)


def test_recommend_and_coord_check_run_on_the_device(device: torch.device) -> None:
    model, x, y = _on(device, _net(), X, Y)
    inits = ["lecun_normal", "normal(std=0.0001)"]
    found = ib.recommend(model, x, y, LOSS, inits=inits, seeds=3)
    assert "lecun_normal" in str(found)
    checked = ib.coord_check(
        lambda width: mlp(784, 10, width=width, depth=3, activation="relu").to(device),
        (32, 64, 128),
        (x, y),
        loss_fn=LOSS,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.1),
        seeds=3,
    )
    assert len(checked.table) > 0
