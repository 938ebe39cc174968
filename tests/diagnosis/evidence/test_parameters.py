"""Parameter table: values, the init that could have drawn them, and plain faults."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.parameters import parameter_table
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.whole_model.initialization import fill_weights

NAMED = ("lecun", "xavier", "he")
SHAPES = [(60, 200), (200, 60), (30, 20, 3, 3)]


def layer_of(shape: tuple[int, ...]) -> nn.Module:
    if len(shape) == 2:
        return nn.Linear(shape[1], shape[0])
    return nn.Conv2d(shape[1], shape[0], shape[2])


def filled(module: nn.Module, spec: str) -> nn.Module:
    fill_weights(module, spec)
    return module


def table_of(model: nn.Module, *order: Any, **gradients: Any) -> pd.DataFrame:
    return parameter_table(ModelView(model), *order, **gradients)


def row_of(module: nn.Module, parameter: str = "weight") -> dict[Any, Any]:
    rows = table_of(module).to_dict("records")
    return next(row for row in rows if row["parameter"] == parameter)


def weight(module: nn.Module) -> Tensor:
    found = module.weight
    assert isinstance(found, Tensor)
    return found.data


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [n for n in INITS if n.split("_")[0] in NAMED])
def test_a_named_rule_is_recognized(name: str, shape: tuple[int, ...]) -> None:
    layer = filled(layer_of(shape), name)
    assert row_of(layer)["looks_like"].split(" or ")[0] == name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_torchs_default_is_recognized(shape: tuple[int, ...]) -> None:
    layer = filled(layer_of(shape), "torch.default")
    assert set(table_of(layer)["looks_like"]) == {"torch.default"}


@pytest.mark.parametrize(
    ("spec", "looks_like"),
    [("zeros", "zeros"), ("ones", "ones"), ("constant(value=0.25)", "constant(value=0.25)"),
     ("torch.orthogonal", "orthogonal"), ("normal(std=0.25)", "normal(std=0.25)")],
)  # fmt: skip
def test_other_rules_are_recognized(spec: str, looks_like: str) -> None:
    assert row_of(filled(nn.Linear(200, 60), spec))["looks_like"].startswith(looks_like[:12])


def test_a_rule_of_another_scale_is_not_taken_for_it() -> None:
    layer = filled(nn.Linear(200, 60), "he_normal")
    weight(layer).mul_(1.2)
    assert "he_normal" not in row_of(layer)["looks_like"]


@pytest.mark.parametrize(
    "module", [nn.LayerNorm(5), nn.BatchNorm2d(5), nn.Embedding(500, 5)], ids=str
)
def test_defaults_of_other_modules_are_recognized(module: nn.Module) -> None:
    filled(module, "torch.default")
    assert table_of(module)["looks_like"].str.startswith("torch.default").all()


def test_fans_std_and_gain_are_what_they_say() -> None:
    layer = filled(nn.Conv2d(20, 30, 3), "he_normal")
    row = row_of(layer)
    assert (row["fan_in"], row["fan_out"]) == fans(weight(layer))
    assert row["std"] == pytest.approx(weight(layer).std(correction=0).item(), rel=1e-5)
    assert row["gain"] == pytest.approx(math.sqrt(180 * weight(layer).square().mean().item()))


@pytest.mark.parametrize(
    "computed",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
    ],
    ids=["weight_norm", "spectral_norm", "orthogonal"],
)
def test_a_computed_weight_has_a_row_and_nothing_moves(
    computed: Callable[[nn.Module], nn.Module],
) -> None:
    model = nn.Sequential(computed(filled(nn.Linear(40, 30), "torch.default")))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = table_of(model).set_index("parameter")
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert {name for name, _ in model.named_parameters()} < set(rows.index)
    found = weight(model[0].eval())
    assert rows.loc["0.weight", "std"] == pytest.approx(found.std(correction=0).item(), rel=1e-5)
    assert rows.loc["0.weight", "gain"] == pytest.approx((found.square().sum() / 30).sqrt().item())
    parts = rows[rows.index.str.contains("parametrizations")]
    assert parts["gain"].isna().all() and (parts["layer"] == "0").all()
    assert (rows["fault"] == "").all()


def test_weight_norm_starts_at_torchs_default_and_may_hold_what_is_not_finite() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(40, 30))
    assert row_of(layer)["looks_like"] == "torch.default"
    with torch.no_grad():
        layer.parametrizations.weight.original0[3] = torch.nan
    assert row_of(layer)["fault"] == "non-finite: 40 of 1200 values"


def test_a_module_of_two_names_and_a_wrapped_one_go_by_their_users_names() -> None:
    layer = nn.Linear(30, 30, bias=False)
    model = nn.ModuleDict({"a": layer, "b": layer})
    assert table_of(model)["fault"].tolist() == ["", "tied to a.weight"]
    assert table_of(nn.DataParallel(model))["parameter"].tolist() == ["a.weight", "b.weight"]


def test_the_gradient_of_a_tied_weight_is_told_under_both_names() -> None:
    model = nn.Sequential(nn.Linear(20, 20, bias=False), nn.Linear(20, 20, bias=False))
    model[1].weight = model[0].weight
    ratios = table_of(model, gradients={"0.weight": 3 * weight(model[0])})["gradient_ratio"]
    assert ratios.tolist() == pytest.approx([3.0, 3.0])


def test_sizes_that_float32_cannot_square_have_a_gain() -> None:
    layer = nn.Linear(100, 50)
    weight(layer).mul_(1e30)
    assert row_of(layer)["gain"] == pytest.approx(1e30 / math.sqrt(3), rel=0.05)


def test_the_recommended_std_is_that_of_the_nonlinearity_that_follows() -> None:
    model = nn.Sequential(nn.Linear(50, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 3))
    table = table_of(model, ["0", "1", "2", "3"]).set_index("parameter")
    wanted = table["recommended_std"]
    pd.testing.assert_series_equal(wanted, table["wanted_std"], check_names=False)
    assert wanted["0.weight"] == pytest.approx(math.sqrt(2 / 50))
    assert wanted["3.weight"] == pytest.approx(math.sqrt(1 / 40))


def test_plain_faults_are_named() -> None:
    model = nn.Sequential(*(nn.Linear(20, 20) for _ in range(5)))
    weight(model[0])[0, 0] = torch.nan
    weight(model[1]).fill_(0.5)
    weight(model[2]).copy_(1e-39 * torch.rand(20, 20, generator=stream(0, "raw")))
    weight(model[3])[3, 3] = 1e30
    model[4].weight = model[0].weight
    faults = table_of(model).set_index("parameter")["fault"]
    assert faults["0.weight"] == "non-finite: 1 of 400 values"
    assert faults["1.weight"] == "all equal: 0.5"
    assert faults["2.weight"].startswith("never initialized")
    assert faults["3.weight"].startswith("never initialized")
    assert faults["4.weight"] == "tied to 0.weight"
    assert (faults[faults.index.str.endswith("bias")] == "").all()


def test_a_table_of_one_value_is_at_fault_and_has_no_spread() -> None:
    table = nn.Embedding(10, 4)
    weight(table).fill_(0.05)
    row = row_of(table)
    assert (row["fault"], row["std"]) == ("all equal: 0.05", 0.0)


def test_a_sound_model_has_no_fault() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.GroupNorm(2, 4))
    assert (table_of(model)["fault"] == "").all()


def test_complex_weights_are_measured_and_look_like_no_rule() -> None:
    layer = nn.Linear(30, 20, dtype=torch.complex64)
    row = table_of(layer, gradients={"weight": 2j * layer.weight}).iloc[0]
    assert row["looks_like"] == "other"
    assert 0.3 < row["gain"] < 1.5
    assert row["gradient_ratio"] == pytest.approx(2)
