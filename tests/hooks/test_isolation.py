"""State is restored, whatever happens inside the block."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest
import torch
from torch import Tensor, nn

from init_bench.hooks.isolation import (
    frozen_parametrizations,
    isolated_pass,
    preserved_state,
    restored_parameters,
    rollback_on_error,
    without_compiler,
)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def state_of(net: nn.Module) -> list[Tensor]:
    """Return copies of parameters, buffers and the RNG state."""
    return [value.clone() for value in (*net.parameters(), *net.buffers(), torch.get_rng_state())]


def disturb(net: nn.Module) -> None:
    """Move buffers, modes and the RNG state, and leave gradients."""
    net.train()
    net(torch.randn(5, 3)).sum().backward()
    net.eval()


def disturb_parameters(net: nn.Module) -> None:
    disturb(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)


RESTORING: dict[
    str, tuple[Callable[[nn.Module], AbstractContextManager[None]], Callable[[nn.Module], None]]
] = {
    "preserved_state": (preserved_state, disturb),
    "isolated_pass": (isolated_pass, disturb),
    "restored_parameters": (restored_parameters, disturb_parameters),
    "rollback_on_error": (rollback_on_error, disturb_parameters),
}


@pytest.mark.parametrize("name", RESTORING)
def test_state_is_restored_after_an_error(name: str) -> None:
    context, change = RESTORING[name]
    net = model()
    before = state_of(net)
    with suppress(KeyError), context(net):
        change(net)
        assert not all(map(torch.equal, before, state_of(net)))
        raise KeyError
    assert all(map(torch.equal, before, state_of(net)))
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize("gradient", [None, torch.ones(4, 3)])
def test_gradients_are_set_aside_in_an_isolated_pass(gradient: Tensor | None) -> None:
    net, x = model(), torch.ones(5, 3, requires_grad=True)
    weight = net.get_parameter("0.weight")
    weight.grad = gradient
    with isolated_pass(net, (x,)):
        assert weight.grad is None
        net(x).sum().backward()
        assert weight.grad is not None and x.grad is not None
    assert weight.grad is gradient and x.grad is None


@pytest.mark.parametrize("change", [Tensor.t, lambda weight: weight[1:], Tensor.flatten])
def test_another_shape_of_the_same_memory_is_undone(change: Callable[[Tensor], Tensor]) -> None:
    net = nn.Linear(3, 4)
    before = net.weight.detach().clone()
    with restored_parameters(net):
        net.weight.data = change(net.weight.data)
    assert torch.equal(net.weight, before) and net.weight.is_contiguous()


def test_isolated_passes_draw_the_same() -> None:
    draws = []
    for _ in range(2):
        with isolated_pass(model()):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)


def test_a_success_is_not_rolled_back() -> None:
    net = nn.Linear(2, 2)
    with rollback_on_error(net):
        nn.init.zeros_(net.weight)
    assert not net.weight.any()


def test_frozen_parametrizations_do_no_power_iteration() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
    before = state_of(layer)
    with frozen_parametrizations(layer):
        assert layer.weight is layer.weight
    assert all(map(torch.equal, before, state_of(layer)))
    assert all(module.training for module in layer.modules())


def test_the_compiler_comes_back_when_threads_that_overlap_have_left() -> None:
    torch.compiler.reset()
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x: 2 * x, backend=backend)
    first, second = without_compiler(), without_compiler()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    compiled(torch.ones(2))
    assert not graphs
    second.__exit__()
    compiled(torch.ones(2))
    assert len(graphs) == 1
