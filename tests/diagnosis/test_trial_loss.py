"""A model that refuses nan ends a trial as nan does; an error of finite numbers says where."""

import math

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.diagnosis.training_steps import Optimizer

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
Y = (X[:, :2] > 0).float()


def model(*more: nn.Module) -> nn.Module:
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2), *more)
    ib.initialize(net, "he_normal", seed=0)
    return net


def likelihood(output: Tensor, targets: Tensor) -> Tensor:
    """Return a loss that diverges with the output, and that refuses an output of nan."""
    entropy = nn.functional.binary_cross_entropy(torch.sigmoid(output), targets)
    return entropy + output.square().mean()


class Checked(nn.Module):
    """Refuses nan in its own forward."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * nn.functional.binary_cross_entropy(torch.sigmoid(x), torch.ones_like(x))


class FailsLater:
    """Fails at a later call, whatever it gets."""

    def __init__(self, call: int) -> None:
        self.left = call

    def __call__(self, output: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("out of range")
        return nn.functional.mse_loss(output, targets)


def sgd(lr: float) -> Optimizer:
    return lambda net: torch.optim.SGD(net.parameters(), lr=lr)


@pytest.mark.parametrize("more", [[], [Checked()]], ids=["in the loss", "in the model"])
@pytest.mark.parametrize("highest", [1e30, 1.0], ids=["weights", "outputs"])
def test_a_rate_that_diverges_has_its_row(more: list[nn.Module], highest: float) -> None:
    rates = [1e-30, 1e-25, highest]  # the last makes weights infinite at once, or outputs alone
    window = ib.rate_window(model(*more), 1e10 * X, Y, likelihood, rates=rates)
    assert window.trials["outcome"].tolist()[-1] == "diverges"
    assert math.isnan(window.trials["last_loss"].tolist()[-1])


@pytest.mark.parametrize("rate", [1e2, 1e8, 1e30])
def test_a_coordinate_check_notes_that_networks_which_refuse_nan_diverge(rate: float) -> None:
    def network(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2), Checked())

    check = ib.coord_check(
        network, [16, 32], (X, Y), loss_fn=nn.functional.mse_loss, optimizer=sgd(rate), steps=6
    )
    assert check.worst == "diverges"
    assert len(check.changes) == 2 * 5 * 7 * 5  # widths, seeds, steps, layers


def test_an_error_of_finite_numbers_says_where_it_happened() -> None:
    said = "raised in a short training: "
    with pytest.raises(RuntimeError, match=said + r"he_normal at rate 0.01, seed \d+, step \d+"):
        ib.recommend(model(), X, Y, FailsLater(30), inits=["he_normal"], seeds=3)
    with pytest.raises(RuntimeError, match=said + r"at rate 0.01, step \d+"):
        ib.rate_window(model(), X, Y, FailsLater(60), rates=[0.01, 0.1, 0.25], goal=1e-6)
    with pytest.raises(RuntimeError, match=said + r"at width 8, seed 0, step 1"):
        ib.coord_check(
            lambda width: nn.Sequential(nn.Linear(8, width), nn.Linear(width, 2)),
            [8, 16], (X, Y), loss_fn=FailsLater(5), optimizer=sgd(0.01),
        )  # fmt: skip
    with pytest.raises(RuntimeError, match=said + r"at rate 0.25, step \d+"):
        ib.diagnose(model(), X, Y, FailsLater(12), capture_at=50, optimizer=sgd(0.25))
