"""One call of a layer is one record: its input, output, weight and gradients belong together."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from init_bench.hooks.forward_hooks import LayerTracker, track
from init_bench.hooks.layer_call import describe_signal
from init_bench.hooks.model_view import ModelView
from tests.kinds_of_network import drawn

X = drawn(6, 8)


class Borrowing(nn.Module):
    """Computes with the weight of a child, which does not run; may overwrite its input."""

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        self.child, self.inplace = nn.Linear(8, 8), inplace

    def forward(self, x: Tensor) -> Tensor:
        found = F.linear(x, self.child.weight)
        if self.inplace:
            x.zero_()
        return found


BUILDS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(8, 8),
    "in place, without children": lambda: nn.ReLU(inplace=True),
    "with a child that does not run": Borrowing,
}


def tracked(model: nn.Module, x: Tensor) -> LayerTracker:
    with track(ModelView(model), inputs=True) as tracker:
        model(x.requires_grad_().clone()).sum().backward()
    return tracker


@pytest.mark.parametrize("name", BUILDS)
def test_the_input_is_that_of_the_call(name: str) -> None:
    (call,) = tracked(BUILDS[name](), X.clone()).calls
    assert call.input == describe_signal(X)
    assert len(call.gradients) == 1 and (call.samples, call.outputs) == (6, 8)


def test_an_input_that_was_overwritten_meanwhile_is_unknown() -> None:
    model = Borrowing(inplace=True)
    with track(ModelView(model), inputs=True) as tracker, torch.no_grad():
        model(X.clone())
    assert tracker.calls[0].input == {}


def test_inputs_are_described_only_when_asked_for() -> None:
    model = nn.Linear(8, 8)
    with track(ModelView(model)) as tracker:
        model(X)
    assert tracker.calls[0].input == {} and tracker.calls[0].weight is not None


def test_each_backward_pass_adds_a_gradient_to_its_call() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    with track(ModelView(model)) as tracker:
        output = model(X)
        output.sum().backward(retain_graph=True)
        (3 * output.sum()).backward()
    one, three = tracker.calls[0].gradients
    assert three["std"] == pytest.approx(3 * one["std"])


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no")


class FailingOutside(nn.Module):
    """Fails in its own code: after a layer, or before the first one."""

    def __init__(self, *, after: bool) -> None:
        super().__init__()
        self.layer, self.after = nn.Linear(8, 8), after

    def forward(self, x: Tensor) -> Tensor:
        if self.after:
            self.layer(x)
        raise ValueError("no")


@pytest.mark.parametrize(
    ("model", "position"),
    [
        (nn.Sequential(nn.Linear(8, 8), Failing()), "in layer '1'"),
        (nn.Sequential(nn.Tanh(), FailingOutside(after=False)), "in layer '1'"),
        (nn.Sequential(nn.Tanh(), FailingOutside(after=True)), "after layer '1.layer'"),
        (FailingOutside(after=False), "before its first layer"),
    ],
    ids=["in a layer", "in a module that runs no other", "after a layer", "before any"],
)
def test_the_position_of_a_failure_is_known(model: nn.Module, position: str) -> None:
    with track(ModelView(model), inputs=True) as tracker, pytest.raises(ValueError, match="no"):
        model(X)
    assert tracker.position == position
