"""``initialize`` on modules of the user's own: true fans, what stays, what the report says."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.init import module_fans
from init_bench.init.whole_model.report import Report
from tests import user_layers as own


def std_over_root(parameter: Tensor, fan_in: int) -> float:
    return parameter.std().item() * math.sqrt(fan_in)


def notes(report: Report) -> dict[str, str]:
    return dict(zip(report.table.parameter, report.table.note, strict=True))


@pytest.mark.parametrize(
    ("module", "fans"),
    [
        (own.Product(64, 512, 1), {"weight": 64}),
        (own.ByHead(4, 96, 16), {"query": 96, "out": 64}),
        (own.ChosenExperts(3, 64, 256), {"up": 64, "down": 256}),
        (own.NormedEmbeddingHead(64, 300), {"weight": 64}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_std_is_that_of_the_fan_in_a_module_sums_over(
    module: nn.Module, fans: dict[str, int]
) -> None:
    report = ib.initialize(module, "lecun_normal")
    for name, fan_in in fans.items():
        assert 0.95 < std_over_root(module.get_parameter(name), fan_in) < 1.05
        assert report.table.set_index("parameter").fan_in[name] == fan_in
        assert "uses it" in notes(report)[name]


class HalvedLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, (self.weight / 2).contiguous(), self.bias)


@pytest.mark.parametrize(
    ("module", "factor"),
    [(own.ScaledWhenUsed(400, 300), 0.05), (HalvedLinear(400, 300), 0.5)],
    ids=["module", "subclass of torch's"],
)
def test_a_weight_that_is_multiplied_by_a_constant_has_the_std_of_the_rule_where_it_is_used(
    module: nn.Module, factor: float
) -> None:
    wanted = math.sqrt(1 / 400)
    row = ib.initialize(module, "lecun_normal").table.set_index("parameter").loc["weight"]
    used = module.get_parameter("weight").detach() * factor
    assert used.std().item() == pytest.approx(wanted, rel=0.02)
    assert row["std_nominal"] * factor == pytest.approx(wanted)
    assert f"multiplied by {factor:g} where it is used" in row["note"]
    named = ib.initialize(module, "zeros", overrides={"weight": "xavier_normal"}).table
    row = named.set_index("parameter").loc["weight"]
    assert row["std_measured"] == pytest.approx(row["std_nominal"], rel=0.02)
    ib.initialize(module, "orthogonal")
    used = module.get_parameter("weight").detach() * factor
    assert torch.allclose(used @ used.T, torch.eye(300), atol=1e-4)
    ib.initialize(module, "normal(std=0.02)")
    assert module.get_parameter("weight").std().item() == pytest.approx(0.02, rel=0.02)


def test_no_constant_is_read_off_a_weight_that_is_normalized_or_has_a_learned_scale() -> None:
    class LearnedScale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(300, 400))
            self.scale = nn.Parameter(torch.tensor(0.05))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.weight * self.scale)

    class UnitNorm(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.weight / self.weight.norm())

    class UnitMaximum(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.weight / self.weight.abs().max().item())

    class Inverse(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, torch.div(2, self.weight))

    kinds = (UnitNorm, own.UnitRows, UnitMaximum, Inverse)
    for module in (LearnedScale(), *(kind(400, 300) for kind in kinds)):
        report = ib.initialize(module, "lecun_normal")
        assert module.get_parameter("weight").std().item() == pytest.approx(0.05, rel=0.02)
        assert "multiplied" not in notes(report)["weight"]


def test_module_fans_are_those_of_the_use() -> None:
    assert module_fans(own.Product(64, 512, 1), "weight") == (64, 512)
    assert module_fans(own.ChosenExperts(3, 64, 256), "down") == (256, 64)


def test_each_head_and_each_expert_gets_a_matrix_of_its_own() -> None:
    module = own.ChosenExperts(2, 16, 24)
    ib.initialize(module, "orthogonal")
    for up in module.up.detach():
        assert torch.allclose(up.T @ up, torch.eye(16), atol=1e-5)


def test_a_weight_in_a_parameter_list_is_drawn_as_the_module_around_it_uses_it() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList([torch.empty(64, 300), torch.empty(300, 64)])

        def forward(self, x: Tensor) -> Tensor:
            for weight in self.weights:
                x = torch.tanh(x @ weight)
            return x

    model = Listed()
    ib.initialize(model, "lecun_normal")
    assert 0.95 < std_over_root(model.weights[0], 64) < 1.05
    assert 0.95 < std_over_root(model.weights[1], 300) < 1.05


class Remembering(nn.Module):
    """Keeps its input, a count and a running mean."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.w, self.calls = nn.Parameter(torch.randn(64, 10)), 0
        self.last: Tensor | None = None
        self.register_buffer("mean", torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last, out = x, x @ self.w
        self.mean = 0.9 * self.mean + 0.1 * out.mean(0)
        return out - self.mean


@pytest.mark.parametrize("spec", ["he_normal", "lsuv"])
def test_what_a_forward_keeps_of_a_trace_or_a_trial_is_gone(spec: str) -> None:
    part = Remembering()
    mean = part.mean
    ib.initialize(nn.Sequential(part, nn.ReLU(), nn.Linear(10, 2)), spec, batch=torch.randn(8, 64))
    assert part.mean is mean and not mean.any()
    assert spec == "lsuv" or (part.calls == 0 and part.last is None)


class Hidden(nn.Module):
    """Uses its weight where no trial run sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(256, 64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() @ self.w.detach().numpy())


def test_a_guess_is_told_and_fans_settle_it() -> None:
    guessed = notes(ib.initialize(Hidden(), "lecun_normal"))["w"]
    assert "guess" in guessed
    model = Hidden()
    report = ib.initialize(model, "lecun_normal", fans={"w": (256, 64)})
    assert 0.95 < std_over_root(model.w, 256) < 1.05
    assert notes(report)["w"] == "fans as given"
    assert report.table.fan_in[0] == 256


@pytest.mark.parametrize("fans", [(0, 3), (4,), 5])
def test_fans_that_are_no_pair_are_refused(fans: object) -> None:
    with pytest.raises(InitBenchError, match="fan_in, fan_out"):
        ib.initialize(Hidden(), "he_normal", fans={"w": fans})  # type: ignore[dict-item]


def test_parameters_of_a_role_that_nobody_gave_stay_unless_named() -> None:
    module = own.StateSpace(16)
    before = {name: value.clone() for name, value in module.named_parameters()}
    report = ib.initialize(module, "he_normal")
    stay = {"A_log", "dt_bias", "D", "temperature"}
    assert set(report.left) == stay
    assert all(torch.equal(before[name], module.get_parameter(name)) for name in stay)
    ib.initialize(module, "he_normal", overrides={"D": "zeros"})
    assert not module.D.any()


def test_keep_and_marks_leave_parameters_as_they_are_for_every_kind_of_initializer() -> None:
    for spec in ("he_normal", "torch.default", "lsuv"):
        model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 4))
        model[2].bias._no_reinit = True  # type: ignore[union-attr]
        before = [value.clone() for value in model.parameters()]
        report = ib.initialize(model, spec, keep=["0"], batch=torch.randn(32, 8))
        same = [torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        assert same[:4] == [True, True, False, True], spec
        assert report.left == {
            "0.weight": "keep=",
            "0.bias": "keep=",
            "2.bias": "marked _no_reinit",
        }


def test_keep_is_a_list_of_patterns_that_match() -> None:
    with pytest.raises(InitBenchError, match=r"\['head'\]"):
        ib.initialize(nn.Linear(2, 2), "he_normal", keep="head")
    with pytest.raises(InitBenchError, match="matches no parameter"):
        ib.initialize(nn.Linear(2, 2), "he_normal", keep=["head"])


def test_integer_and_frozen_tensors_do_not_block_a_model() -> None:
    base, head = own.Int8(8, 8), nn.Linear(8, 4)
    model = nn.Sequential(base, head)
    codes, scale = base.weight.clone(), base.scale.clone()
    head.bias.requires_grad_(False)
    report = ib.initialize(model, "he_normal")
    assert torch.equal(base.weight, codes) and torch.equal(base.scale, scale)
    assert report.left["0.weight"] == "holds int8 values"
    assert 0.3 < head.weight.std().item() < 0.8


def test_torch_default_is_claimed_only_where_reset_parameters_wrote() -> None:
    class HalfReset(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filled = nn.Parameter(torch.full((8, 8), torch.nan))
            self.forgotten = nn.Parameter(torch.full((64,), torch.nan))

        def reset_parameters(self) -> None:
            self.filled.data.fill_(0.5)

    report = ib.initialize(nn.Sequential(HalfReset(), nn.LayerNorm(8)), "torch.default")
    assert list(report.left) == ["0.forgotten"]


class RawBlock(nn.Module):
    """relu(x @ up) @ down of plain parameters, the product written by ``multiply``."""

    def __init__(self, multiply: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(torch.ones(8, 16)), nn.Parameter(torch.ones(16, 8))
        self.multiply = multiply

    def forward(self, x: Tensor) -> Tensor:
        return self.multiply(self.multiply(x, self.up).relu(), self.down)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RawBlock(torch.matmul),
        lambda: RawBlock(lambda x, weight: torch.einsum("bi,io->bo", x, weight)),
        lambda: RawBlock(lambda x, weight: nn.functional.linear(x, (weight / 2).T)),
    ],
    ids=["matmul", "einsum", "linear"],
)
def test_each_plain_parameter_has_the_nonlinearity_behind_its_own_product(
    make: Callable[[], nn.Module],
) -> None:
    model = nn.Sequential(make(), make(), nn.Linear(8, 2))
    table = ib.initialize(model, "critical_normal").table.set_index("parameter")
    gains = {"up": ("relu", math.sqrt(2)), "down": ("identity", 1.0)}
    for block in ("0", "1"):
        for name, (nonlinearity, gain) in gains.items():
            row = table.loc[f"{block}.{name}"]
            assert (row.nonlinearity, row.gain) == (nonlinearity, pytest.approx(gain))


def test_a_row_that_is_looked_up_ends_its_layer_at_the_next_product() -> None:
    class LookedUp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Parameter(torch.ones(9, 8))
            self.weight = nn.Parameter(torch.ones(8, 4))

        def forward(self, tokens: Tensor) -> Tensor:
            return (self.rows[tokens] @ self.weight).relu()

    table = ib.initialize(LookedUp(), "he_normal").table.set_index("parameter")
    assert table.nonlinearity.to_dict() == {"rows": "identity", "weight": "relu"}
