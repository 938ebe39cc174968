"""What holds for every initializer of a whole network, found by walking the menu."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.init import INITS, KINDS, Report, all_inits, initialize, menu_rows
from init_bench.training.grid import Grid
from init_bench.training.networks import build
from tests.init import networks

MAKERS: dict[str, Callable[[], nn.Sequential]] = {
    "plain": networks.plain,
    "residual": lambda: networks.residual(norm=True, scalar=True),
    "transformer": networks.transformer,
    "recurrent": networks.recurrent,
    "state_space": networks.state_space,
    "adapted": networks.adapted,
}
NAMES = [name for name in all_inits() if name not in INITS]


def run(name: str, model: nn.Module, **given: Any) -> Report:
    loss = nn.functional.cross_entropy
    torch.manual_seed(1)  # nor may the global stream's state matter
    return initialize(model, spec(name), batch=networks.batch(), loss_fn=loss, **given)


ARGUMENTS = {
    "mup": "(base_width=4)",
    "completep": "(base_width=4, base_depth=1)",
    "constant": "(value=0.5)",
    "sparse": "(sparsity=0.5)",
}
"""Of initializers that cannot do without."""


def spec(name: str) -> str:
    """Return the initializer with what it needs, and with two steps where it takes many."""
    if name in ARGUMENTS:
        return name + ARGUMENTS[name]
    return name + "(steps=2)" * ("steps" in inspect.signature(all_inits()[name]).parameters)


@functools.cache
def filled(name: str) -> dict[str, tuple[nn.Sequential, Report]]:
    """Return the networks that an initializer fills, filled, and the reports.

    Made when a test asks, not at collection; read them, do not change them.
    """
    found = {}
    for maker, make in MAKERS.items():
        model = make()
        model[0].eval()
        with contextlib.suppress(InitBenchError):
            found[maker] = model, run(name, model)
    return found


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_every_init_takes_some_network(name: str) -> None:
    assert filled(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_network_and_nothing_else_moves(name: str) -> None:
    if name == "as_built":
        pytest.skip("leaves what the maker drew")
    for maker, (again, _) in filled(name).items():
        model = MAKERS[maker]()
        model[0].eval()
        modes = [module.training for module in model.modules()]
        buffers = {name: value.clone() for name, value in model.named_buffers()}
        parameters = list(model.parameters())
        torch.manual_seed(1)
        before = torch.get_rng_state()
        run(name, model)
        assert torch.equal(before, torch.get_rng_state()), "moved the global stream"
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(buffers[n], value) for n, value in model.named_buffers())
        assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
        assert all(p.is_leaf and p.grad is None and p.requires_grad for p in parameters)
        assert not any(module._forward_hooks for module in model.modules())
        first, second = values(model), values(again)
        assert all(torch.equal(first[n], second[n]) for n in first)
        assert all(value.isfinite().all() for value in first.values())


@pytest.mark.parametrize("name", NAMES)
def test_an_override_is_kept(name: str) -> None:
    model = MAKERS[next(iter(filled(name)))]()
    last = f"{len(model) - 1}.weight"
    report = run(name, model, overrides={last: "constant(value=0.25)"})
    row = next(r for r in report.rows if r.parameter == last)
    assert (model.get_parameter(last) == 0.25).all()
    assert row.initializer == "constant(value=0.25)" and row.note == "override"


@pytest.mark.parametrize("name", NAMES)
def test_the_report_has_a_row_for_every_parameter_and_its_std(name: str) -> None:
    for model, report in filled(name).values():
        rows = {row.parameter: row for row in report.rows}
        found = values(model)
        assert set(rows) == set(found)
        for parameter, value in found.items():
            assert rows[parameter].std_measured == pytest.approx(
                value.std(correction=0).item(), abs=1e-7
            )
        drawn = [r for r in rows.values() if r.std_nominal and len(r.shape) > 1]
        # Even a weight of 24 entries is within a factor of 2 of its std but once in 1e5.
        assert all(0.5 < row.std_measured / (row.std_nominal or 1) < 2 for row in drawn)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "depth"), [(64, 64), (256, 8), (1024, 2)])
@pytest.mark.parametrize("name", [n for n in (*INITS, *KINDS["module"]) if n[:6] != "torch."])
def test_the_std_that_a_report_states_is_drawn_at_any_width_and_depth(
    name: str, width: int, depth: int
) -> None:
    """Within 5 standard errors of a normal's std; of sparse weights, with heavy tails, 8."""
    model = networks.residual(depth, width)
    model[0].eval()
    try:
        report = run(name, model)
    except InitBenchError as refusal:
        pytest.skip(f"fills no residual network: {refusal}")
    drawn = [row for row in report.rows if row.std_nominal and len(row.shape) > 1]
    for row in drawn:
        error = (8 if "sparse" in name else 5) / math.sqrt(2 * math.prod(row.shape))
        assert row.std_measured == pytest.approx(row.std_nominal, rel=error), row.parameter


@pytest.mark.parametrize("name", NAMES)
def test_what_a_grid_builds_is_what_initialize_does(name: str) -> None:
    if "plain" not in filled(name):
        pytest.skip("fills no plain network")
    if name == "as_built":
        pytest.skip("in a grid the constructor draws from the seed")
    needs = next(row["needs"] for row in menu_rows() if row["name"] == name)
    data = None if needs == "module" else networks.batch()
    expected = networks.plain().eval()
    run(name, expected, seed=3)
    built = values(build(lambda: networks.plain().eval(), spec(name), 3, data))
    assert all(torch.equal(built[n], value) for n, value in values(expected).items())


@pytest.mark.parametrize("name", NAMES)
def test_what_must_see_data_is_not_built_without(name: str) -> None:
    needs = next(row["needs"] for row in menu_rows() if row["name"] == name)
    if needs == "batch":
        with pytest.raises(InitBenchError, match=f"{name} needs a batch: initialize"):
            build(networks.plain, name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_takes_what_needs_data(name: str) -> None:
    if name not in KINDS["module"]:
        if "plain" not in filled(name):
            pytest.skip("fills no plain network, and a grid's own is one")
        assert Grid(init=name).init == (name,)
