"""Recognition: torch's nonlinearities and registered ones have one answer everywhere."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import activation as torch_activations
from typer.testing import CliRunner

import init_bench as ib
from init_bench.activations.gains import gradient_gain, gradient_gain_of_function
from init_bench.activations.menu import ACTIVATIONS, Activation, register_activation
from init_bench.activations.recognition import (
    FUNCTIONS,
    bounds_of,
    bounds_of_function,
    is_nonlinearity,
    known_names,
    menu_name_of,
    name_of,
)
from init_bench.activations.torch_others import TORCH_OTHERS
from init_bench.cli.app import app
from init_bench.theory.model_prediction import expected_of

RECORDS = {**ACTIVATIONS, **TORCH_OTHERS}
NOT_ELEMENTWISE = {"MultiheadAttention", "Softmax", "Softmax2d", "LogSoftmax", "GLU", "Softmin"}


class Squash(nn.Module):
    """Stretched tanh, which is none of torch's."""

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, a: Tensor) -> Tensor:
        return torch.tanh(self.slope * a)

    def extra_repr(self) -> str:
        return f"slope={self.slope}"


SQUASH = Activation(formula="tanh(a)", source="here", module=Squash, bounds=(-1.0, 1.0))


@pytest.fixture
def squash(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register an activation from outside, as a user does, for one test."""
    before = dict(ACTIVATIONS)
    register_activation("squash", SQUASH)
    yield "squash"
    ACTIVATIONS.clear()
    ACTIVATIONS.update(before)


def network(phi: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(20, 30), phi, nn.Linear(30, 30), copy.deepcopy(phi), nn.Linear(30, 4)
    )


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(64, 20, generator=generator), torch.arange(64) % 4


@pytest.mark.parametrize("name", sorted(set(RECORDS) - {"identity"}))
def test_a_record_is_found_by_the_module_it_builds(name: str) -> None:
    module, record = RECORDS[name].module(), RECORDS[name]
    assert name_of(module) == name
    assert bounds_of(module) == record.bounds
    assert is_nonlinearity(module) == record.elementwise
    assert menu_name_of(module) == (name if name in ACTIVATIONS else None)
    assert record.formula and record.source


@pytest.mark.parametrize("name", sorted(torch_activations.__all__))
def test_every_elementwise_nonlinearity_of_torch_has_a_record(name: str) -> None:
    kind = getattr(nn, name)
    made = {"Threshold": (0.1, 0.0), "MultiheadAttention": (4, 2)}.get(name, ())
    assert is_nonlinearity(kind(*made)) == (name not in NOT_ELEMENTWISE)


@pytest.mark.parametrize("module", [nn.Identity(), nn.Sequential(nn.ReLU()), nn.Linear(1, 1)])
def test_other_modules_are_no_nonlinearity(module: nn.Module) -> None:
    assert name_of(module) is None
    assert not is_nonlinearity(module)


@pytest.mark.parametrize("function", [torch.relu, F.relu, Tensor.relu_, F.hardswish, torch.tanh])
def test_functions_go_by_the_name_of_their_module(function: object) -> None:
    assert FUNCTIONS[function] in RECORDS


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS.values())))
def test_a_function_has_the_gain_of_its_module(name: str) -> None:
    gain = gradient_gain_of_function(name)
    if name in ("prelu", "threshold"):
        assert math.isnan(gain)
    else:
        assert gain == gradient_gain(RECORDS[name].module())


def test_functions_that_are_no_hidden_nonlinearity_are_left_out() -> None:
    assert not {torch.softmax, F.softmax, F.glu, torch.sin, torch.cos} & FUNCTIONS.keys()


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS.values()) - {"hardtanh"}))
def test_a_function_has_the_bounds_of_its_module(name: str) -> None:
    assert bounds_of_function(name) == bounds_of(RECORDS[name].module())


def test_a_registered_activation_saturates_in_a_capture(squash: str) -> None:
    model = network(Squash())
    ib.initialize(model, "normal(std=20)")
    with ib.capture(model) as record:
        model(batch()[0])
    saturated = record.table().query("kind == 'activation'").set_index("layer")["saturated"]
    assert list(saturated.index) == ["1", "3"], "what a layer on the menu calls is no layer"
    assert saturated.notna().all()
    assert saturated.iloc[0] > 0.9


def test_a_registered_activation_is_nonlinear_in_a_diagnosis(squash: str) -> None:
    inputs, targets = batch()
    profile = ib.diagnose(network(Squash()), inputs, targets).profile.set_index("layer")
    assert profile["nonlinear"].tolist() == [False, True, False, True, False]
    tanh = ib.diagnose(network(nn.Tanh()), inputs, targets).profile.set_index("layer")
    assert profile["saturated"].equals(tanh["saturated"])
    assert gradient_gain(Squash()) == pytest.approx(gradient_gain(nn.Tanh()), rel=1e-12)


class Branched(nn.Module):
    """A model that only tracing can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.phi, self.last = nn.Linear(5, 5), Squash(), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.phi(self.first(x)) + x)
        return out


@pytest.mark.parametrize(
    ("model", "layer"), [(network(Squash()), "0.weight"), (Branched(), "first.weight")]
)
def test_a_report_names_the_registered_activation(
    squash: str, model: nn.Module, layer: str
) -> None:
    table = ib.initialize(model, "critical_normal").table.set_index("parameter")
    assert table.loc[layer, "nonlinearity"] == squash
    assert (
        ib.initialize(model, "he_normal", activation=squash).table["nonlinearity"].eq(squash).any()
    )


def test_theory_covers_a_registered_activation(squash: str) -> None:
    torch.manual_seed(0)
    model = network(Squash())
    ib.initialize(model, "lecun_normal")
    expected = expected_of(model, batch()[0])
    model[1], model[3] = nn.Tanh(), nn.Tanh()
    twin = expected_of(model, batch()[0])
    assert expected is not None and twin is not None
    assert expected["sample_std"].tolist() == pytest.approx(twin["sample_std"].tolist())


def test_of_two_records_of_one_class_the_arguments_decide(squash: str) -> None:
    steep = Activation(formula="tanh(3 a)", source="here", module=lambda: Squash(3.0))
    register_activation("steep_squash", steep)
    assert [name_of(Squash(slope)) for slope in (1.0, 3.0, 5.0)] == [
        "squash",
        "steep_squash",
        "squash",
    ]
    assert menu_name_of(Squash(5.0)) is None


def test_an_activation_taken_from_the_menu_is_recognized_no_more(squash: str) -> None:
    assert name_of(Squash()) == squash and squash in known_names()
    del ACTIVATIONS[squash]
    assert name_of(Squash()) is None and squash not in known_names()


def test_a_registered_activation_is_listed_and_trains(squash: str, tmp_path: Path) -> None:
    assert squash in CliRunner().invoke(app, ["list", "activations"]).output
    grid = ib.Grid(activation=squash, width=8, depth=2, steps=3, capture_at=(0,))
    results = ib.run(grid, out=tmp_path)
    assert results.cells["status"].eq("ok").all()
    assert results.layers["saturated"].notna().any()
