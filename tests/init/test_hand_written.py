"""Every part of models as people write them gets its role, or the message says what to pass."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec, Report
from tests.init.hand_written import Bare, Experts, RMSNorm, Speaker, tokens


def rows(report: Report) -> Any:
    return report.table.set_index("parameter")


def ends(report: Report) -> set[str]:
    return {row.parameter for row in report.rows if "ends" in row.note}


@pytest.mark.parametrize("spec", ["llama", "gpt2", "nanochat", "idinit"])
def test_bare_weights_end_the_branch_they_end(spec: str) -> None:
    assert ends(ib.initialize(Bare(), spec)) == {"W_O", "W2"}


def test_deepnorm_scales_the_bare_weights_inside_branches() -> None:
    notes = rows(ib.initialize(Bare(), "deepnorm"))["note"]
    assert set(notes[notes.str.contains("beta")].index) == {"W_V", "W_O", "W1", "W2"}


def test_fixup_counts_the_bare_weights_of_each_branch() -> None:
    stds = rows(ib.initialize(Bare(), "fixup"))["std_nominal"]
    plain = rows(ib.initialize(Bare(), "he_normal"))["std_nominal"]
    assert stds["W1"] == pytest.approx(plain["W1"] * 2 ** (-1 / 2))
    assert stds["W_Q"] == pytest.approx(plain["W_Q"] * 2 ** (-1 / 6))
    assert stds["E"] == plain["E"]
    assert stds["W_O"] == stds["W2"] == stds["U"] == 0


def test_completep_tells_bare_parameters_inside_branches() -> None:
    init = InitSpec("completep", (("base", Bare), ("base_depth", 1)))  # type: ignore[arg-type]
    factors = ib.initialize(Bare(64), init).factors("sgd")
    assert factors["b1"].lr == pytest.approx(2 * 2)  # n · L, α = 1
    assert factors["E"].lr == pytest.approx(2)
    assert factors["W2"].lr == pytest.approx(1 / 2)  # L^(2α−1) · L^(−2α)


def test_experts_end_in_the_weight_that_runs_last() -> None:
    report = ib.initialize(Speaker(mlp=Experts), "llama")
    assert {name for name in ends(report) if "mlp" in name} == {
        f"blocks.{block}.mlp.w_out" for block in range(3)
    }


def test_a_named_branch_ends_in_its_own_weights() -> None:
    class Untraced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = Experts(32)

        def forward(self, x: Tensor) -> Any:
            return x + self.mlp(x) if x.sum() > 0 else x

    model = nn.ModuleList([Untraced(), Untraced()])
    found = rows(ib.initialize(model, "gpt2(branches='*.mlp')"))["note"]
    assert not found["0.mlp.router.weight"]
    assert "ends one of 2" in found["0.mlp.w_out"] and "ends" not in found["0.mlp.w_in"]


@pytest.mark.parametrize(
    ("model", "layer"), [(Speaker(), r"blocks\.0\.attention\.wq"), (Bare(), "W_Q, W_K")]
)
def test_neither_a_norm_s_scale_nor_a_temperature_multiplies_its_branch(
    model: nn.Module, layer: str
) -> None:
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=rf"branch {layer}.* has no scalar factor"):
        ib.initialize(model, "skipinit")
    assert all(map(torch.equal, before, model.parameters()))
    notes = rows(ib.initialize(model, "fixup"))["note"]
    assert not notes.str.contains("factor of").any()


def test_the_scale_of_an_own_norm_at_the_end_of_a_branch_is_no_factor() -> None:
    class NormAtEnd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm = nn.Linear(8, 8), RMSNorm(8)

        def forward(self, x: Tensor) -> Any:
            return x + self.norm(self.fc(x))

    with pytest.raises(InitBenchError, match="has no scalar factor"):
        ib.initialize(nn.Sequential(NormAtEnd(), nn.Linear(8, 2)), "skipinit")


def test_a_router_grows_as_a_readout_by_width_and_by_base() -> None:
    def base() -> nn.Module:
        return Speaker(32, Experts)

    by_base = InitSpec("mup", (("base", base),))  # type: ignore[arg-type]
    plain = rows(ib.initialize(base(), "he_normal"))["std_nominal"]
    for init in (by_base, "mup(base_width=32)"):
        report = ib.initialize(Speaker(128, Experts), init)
        router = rows(report).loc["blocks.0.mlp.router.weight"]
        assert router["std_nominal"] == pytest.approx(plain["blocks.0.mlp.router.weight"] / 4)
        assert router["lr_factor"] == 1 / 4
        assert report.factors("sgd")["blocks.0.mlp.router.weight"].lr == 1 / 4
    model = Speaker(128, Experts)
    ib.initialize(model, "mup(base_width=32, zero_readout=True)")
    assert not model.head.weight.any() and model.blocks[0].mlp.router.weight.any()  # type: ignore[union-attr, operator]


class GatedExperts(Experts):
    """Experts whose router goes by another name."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate = self._modules.pop("router")

    @property
    def router(self) -> Any:  # type: ignore[override]
        return self.gate


def test_a_router_is_told_by_the_stack_beside_it() -> None:
    name = "blocks.0.mlp.gate.weight"
    plain = rows(ib.initialize(Speaker(32, GatedExperts), "he_normal"))["std_nominal"][name]
    report = ib.initialize(Speaker(128, GatedExperts), "mup(base_width=32)")
    assert rows(report)["std_nominal"][name] == pytest.approx(plain / 4)
    assert report.factors("sgd")[name].lr == 1 / 4
    assert not rows(ib.initialize(Speaker(32, GatedExperts), "deepnorm"))["note"][name]


def test_mimetic_makes_heads_of_bare_weights() -> None:
    model = Bare(64)
    ib.initialize(model, "mimetic(heads=4)")
    output, value = model.W_O.detach(), model.W_V.detach()
    product = sum(value[head] @ output[head] for head in range(4))
    assert isinstance(product, Tensor)
    assert -0.5 < product.diagonal().mean().item() < -0.3
    query_key = model.W_Q[0] @ model.W_K[0].T
    assert query_key.trace().item() > 0


class TwoOutputs(nn.Module):
    """Attention beside a projection of its input whose name an output may have too."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        for name in names:
            self.register_parameter(name, nn.Parameter(torch.zeros(16, 16)))

    def forward(self, x: Tensor) -> Any:
        own: Any = self
        query, key, value = x @ own.wq, x @ own.wk, x @ own.wv
        mixed = torch.softmax(query @ key.transpose(-1, -2), -1) @ value
        return mixed @ own.wo + self.beside(x, mixed) @ own.proj

    def beside(self, x: Tensor, mixed: Tensor) -> Tensor:
        return x


class TwoTakeValues(TwoOutputs):
    def beside(self, x: Tensor, mixed: Tensor) -> Tensor:
        return mixed


class UntracedOutputs(TwoOutputs):
    def beside(self, x: Tensor, mixed: Tensor) -> Tensor:
        return x if x.sum() > 0 else mixed


ORDERS = (("wq", "wk", "wv", "wo", "proj"), ("proj", "wo", "wq", "wk", "wv"))


@pytest.mark.parametrize("names", ORDERS)
def test_mimetic_takes_the_output_that_takes_the_values(names: tuple[str, ...]) -> None:
    notes = rows(ib.initialize(TwoOutputs(*names), "mimetic(heads=2)"))["note"]
    assert set(notes[notes.str.contains("identity")].index) == {"wq", "wk", "wv", "wo"}


@pytest.mark.parametrize("names", ORDERS)
@pytest.mark.parametrize("kind", [TwoTakeValues, UntracedOutputs])
def test_mimetic_names_two_outputs_between_which_nothing_decides(
    kind: Any, names: tuple[str, ...]
) -> None:
    with pytest.raises(InitBenchError, match=r"'proj'.* may each be the output") as told:
        ib.initialize(kind(*names), "mimetic(heads=2)")
    assert "'wo'" in str(told.value)
    other = {"proj": "xavier_uniform"}
    notes = rows(ib.initialize(kind(*names), "mimetic(heads=2)", overrides=other))["note"]
    assert "identity" in notes["wo"] and "identity" not in notes["proj"]


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("mlp", ["gated", "experts"])
def test_krahenbuhl_keeps_the_most_even_rates_of_a_transformer(mlp: str, tied: bool) -> None:
    model = Speaker(tied=tied) if mlp == "gated" else Speaker(mlp=Experts, tied=tied)
    report = ib.initialize(model, "krahenbuhl", batch=tokens())
    changes = [row.note.partition("change ")[2].split(" → ") for row in report.rows]
    begin, end = zip(*[map(float, pair) for pair in changes if len(pair) == 2], strict=True)
    assert max(end) / min(end) <= max(begin) / min(begin)
    assert all(map(math.isfinite, end))
    assert model(tokens()).isfinite().all()


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x))


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (Flat(), "llama", r"in this Flat; name the weights that end one, as in outputs='blocks"),
        (Flat(), "deepnorm", r"outputs='blocks\.\*\.fc2', or use an initializer .* fan_in"),
        (Flat(), "gpt2", r"name the modules that are branches, as in branches='blocks"),
        (Flat(), "mimetic", "mimetic found no self-attention"),
        (Bare(), "mimetic", "the number of heads of this Bare is not known"),
        (Bare(), "mup(base_width=8)", "pass base='mine:small'"),
        (Bare(), "admin", "admin cannot divide 'W_O'"),
    ],
    ids=str,
)
def test_what_fits_no_part_of_a_model_is_told_with_what_to_pass(
    model: nn.Module, spec: str, words: str
) -> None:
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=words):
        ib.initialize(model, spec, batch=tokens())
    assert all(map(torch.equal, before, model.parameters()))


def test_a_norm_that_blocks_share_is_seen_at_the_end_of_each() -> None:
    norm = nn.LayerNorm(8)
    model = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), norm) for _ in range(3)))
    with pytest.raises(InitBenchError, match=r"ends in the norm '2\.1'"):
        ib.initialize(model, "admin(branches='2')", batch=torch.randn(16, 8))


def test_a_norm_that_takes_a_gate_starts_like_any_other() -> None:
    class GatedRMSNorm(RMSNorm):
        def forward(self, x: Tensor, gate: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x * torch.sigmoid(gate))

    model = nn.ModuleDict({"norm": GatedRMSNorm(8), "fc": nn.Linear(8, 8)})
    nn.init.constant_(model.get_parameter("norm.weight"), math.nan)
    ib.initialize(model, "small")
    assert torch.equal(model.get_parameter("norm.weight"), torch.ones(8))
