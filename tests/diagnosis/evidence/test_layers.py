"""Profile: which calls are hidden layers, which nonlinearities, and whose input is whose."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from init_bench.diagnosis.evidence.collection import collect_evidence
from init_bench.hooks.random_streams import stream

X = torch.randn(12, 8, generator=stream(0, "inputs"))


def layers_of(model: nn.Module) -> dict[str, bool]:
    """Return the layers of the profile in order, and whether each is a nonlinearity."""
    profile = collect_evidence(model, X).profile
    return dict(zip(profile["layer"], profile["nonlinear"], strict=True))


class Scaled(nn.Module):
    """Multiplies by a nonlinearity of a parameter, which holds no samples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.first(x)) * F.softplus(self.scale)
        logits: Tensor = self.last(hidden)
        return logits


def test_a_function_of_a_parameter_is_no_layer() -> None:
    assert layers_of(Scaled()) == {"first": False, ":relu": True, "last": False}


class Answering(nn.Module):
    """Ends in a nonlinearity called as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.first(x).tanh())
        return logits.sigmoid()


def test_a_function_after_the_last_weights_is_output_and_no_hidden_layer() -> None:
    assert layers_of(Answering()) == {"first": False, ":tanh": True, "last": False}


class Swish(nn.Module):
    """A nonlinearity without parameters, written with a function."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


def test_a_module_without_parameters_that_calls_a_nonlinearity_is_one() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Swish(), nn.Linear(8, 2))
    assert layers_of(model) == {"0": False, "1": True, "2": False}


class Retrying(nn.Module):
    """Calls a layer with an input that it does not take, then with one that it does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        try:
            hidden = self.layer(100 * x[:, :3])
        except RuntimeError:
            hidden = self.layer(x)
        again: Tensor = self.layer(hidden)
        return again


def test_a_call_that_failed_gives_its_input_to_no_other() -> None:
    profile = collect_evidence(Retrying(), X).profile
    assert len(profile) == 2
    assert profile["input_std"][0] < 2 < 100 * X.std()
    assert profile["input_std"][1] == profile["std"][0]
