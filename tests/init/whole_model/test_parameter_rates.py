"""Groups of parameters with rates of their own: complete, without doubles, for torch's classes."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from init_bench.errors import InitBenchError
from init_bench.init import MODULE_INITS, Network, Report, initialize, register_init
from init_bench.init.whole_model.rate_factors import Factors


def halves_(network: Network) -> None:
    """Fill as he_normal; weights learn at half the rate."""
    network.start("he_normal")
    for parameter in network.weights:
        rates = {"sgd": Factors(lr=0.5), "adamw": Factors(lr=0.25, weight_decay=4.0, eps=2.0)}
        network.set_rates(parameter, rates)


@pytest.fixture
def report() -> Any:
    register_init("halves", halves_, needs="module")
    tied = nn.Linear(4, 4)
    model = nn.Sequential(tied, nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    model[2].weight = tied.weight
    model[3].bias.requires_grad_(False)
    yield initialize(model, "halves")
    MODULE_INITS.pop("halves")


def held(groups: list[dict[str, Any]]) -> list[int]:
    return [id(parameter) for group in groups for parameter in group["params"]]


def test_each_trainable_parameter_is_in_one_group(report: Report) -> None:
    assert report.model is not None
    wanted = [id(p) for p in report.model.parameters() if p.requires_grad]
    groups = report.param_groups(lr=0.1)
    assert sorted(held(groups)) == sorted(wanted)
    assert len(groups) == 2


def test_groups_have_the_factors_of_the_optimizer(report: Report) -> None:
    by_lr = {g["lr"]: g for g in report.param_groups(lr=0.1, weight_decay=0.2, eps=1e-6)}
    slow = by_lr[0.025]
    assert slow["weight_decay"] == pytest.approx(0.8) and slow["eps"] == pytest.approx(2e-6)
    assert by_lr[0.1]["weight_decay"] == 0.2
    assert {g["lr"] for g in report.param_groups(lr=0.1, optimizer="momentum")} == {0.05, 0.1}
    assert "eps" not in report.param_groups(lr=0.1, optimizer=torch.optim.SGD)[0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adagrad", "RMSprop"])
def test_torch_takes_the_groups(report: Report, name: str) -> None:
    made = getattr(torch.optim, name)
    update = made(report.param_groups(lr=0.1, optimizer=made))
    assert report.model is not None
    report.model(torch.ones(3, 4)).sum().backward()
    before = [p.detach().clone() for p in report.model.parameters() if p.requires_grad]
    update.step()
    after = [p for p in report.model.parameters() if p.requires_grad]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_optimizer_built_plainly_takes_the_factors_over(report: Report) -> None:
    assert report.model is not None
    settings = {"lr": 0.1, "weight_decay": 0.2}
    built = torch.optim.AdamW(report.param_groups(optimizer="adamw", **settings))  # type: ignore[arg-type]
    trained = [p for p in report.model.parameters() if p.requires_grad]
    plain = report.scale_rates(torch.optim.AdamW(trained, **settings))  # type: ignore[arg-type]
    for a, b in zip(built.param_groups, plain.param_groups, strict=True):
        assert [id(p) for p in a["params"]] == [id(p) for p in b["params"]]
        assert (a["lr"], a["weight_decay"], a["eps"]) == (b["lr"], b["weight_decay"], b["eps"])


def test_another_copy_is_grouped_by_name(report: Report) -> None:
    other = copy.deepcopy(report.model)
    assert other is not None
    groups = report.param_groups(lr=1.0, model=nn.DataParallel(other))
    assert set(held(groups)) <= {id(p) for p in other.parameters()}
    assert [len(g["params"]) for g in groups] == [
        len(g["params"]) for g in report.param_groups(lr=1.0)
    ]


def test_the_table_shows_the_factors(report: Report) -> None:
    table = report.table.set_index("parameter")
    names = ["lr_factor", "weight_decay_factor", "eps_factor"]
    assert table[names].T["0.weight"].to_list() == [0.25, 4.0, 2.0]
    assert (table.loc["0.bias", ["lr_factor", "eps_factor"]] == 1).all()
    assert "lr_factor" in str(report) and "param_groups" in str(report)
    plain = initialize(nn.Linear(2, 2), "he_normal")
    assert (plain.table["lr_factor"] == 1).all() and "lr_factor" not in str(plain)


def test_a_plain_initializer_has_one_group_for_any_optimizer() -> None:
    model = nn.Linear(3, 2)
    groups = initialize(model, "he_normal").param_groups(lr=0.5, optimizer="lbfgs")
    assert held(groups) == [id(p) for p in model.parameters()]
    assert groups[0]["lr"] == 0.5


def test_parts_of_a_computed_weight_share_its_factors() -> None:
    register_init("halves", halves_, needs="module")
    model = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    groups = initialize(model, "halves").param_groups(lr=1.0)
    MODULE_INITS.pop("halves")
    assert {g["lr"]: len(g["params"]) for g in groups} == {0.25: 2, 1.0: 1}


def test_what_cannot_be_grouped_is_told(report: Report) -> None:
    with pytest.raises(InitBenchError, match="unknown optimizer 'lbfgs'"):
        report.param_groups(lr=0.1, optimizer="lbfgs")
    with pytest.raises(InitBenchError, match="lr must be a finite number >= 0"):
        report.param_groups(lr=-1.0)
    with pytest.raises(InitBenchError, match="only one of the two has"):
        report.param_groups(lr=1.0, model=nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(InitBenchError, match="knows no model"):
        Report(spec="zeros", seed=0, rows=(), traced="").param_groups(lr=1.0)
