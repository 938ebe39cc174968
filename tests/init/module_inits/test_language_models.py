"""The laws of the recipes of language models, on traced models and on transformers' own."""

import math
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.init import InitSpec
from tests.init.module_inits import language

RECIPES = ("llama", "llama(depth='index')", "fan_in", "normalized", "nanochat", "small", "gpt2")


def is_output(name: str) -> bool:
    return name.endswith(language.OUTPUTS)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters() if value.dim() > 1}


def ratio_of(values: Tensor, std: float) -> float:
    """Return mean square over std²: within 5 standard errors of 1 for a normal at least."""
    return values.double().square().mean().item() / std**2


def near_one(ratio: float, number: int) -> bool:
    return abs(ratio - 1) < 5 * math.sqrt(2 / number)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "layers"), [(64, 64), (256, 8), (1024, 2)])
def test_llama_divides_the_ends_of_branches_by_the_root_of_their_number(
    width: int, layers: int
) -> None:
    model = language.traced(layers, width, device="meta")
    stds = ib.initialize(model, "llama(std=0.03)").table.set_index("parameter")["std_nominal"]
    base = stds["0.weight"]
    assert 0.98 * 0.03 < base < 0.03  # a normal cut at 3 std
    for block in (1, layers):
        for end in ("mix_out", "down"):
            assert stds[f"{block}.{end}.weight"] == pytest.approx(base / math.sqrt(2 * layers))
        for inner in ("mix_in", "gate", "up"):
            assert stds[f"{block}.{inner}.weight"] == pytest.approx(base)
    index = ib.initialize(model, "llama(std=0.03, depth='index')").table.set_index("parameter")
    for block in (1, layers):
        found = index.loc[f"{block}.down.weight", "std_nominal"]
        assert found == pytest.approx(base / math.sqrt(2 * block))


CUT_AT_3 = 0.98658
"""Std of a normal distribution cut at 3 of its own."""


def law(spec: str, part: str, shape: tuple[int, ...], layers: int) -> float:
    """Return the std that a recipe's docstring gives a weight of ``language.traced``."""
    n_out, n_in = shape
    ends, table, head = part in ("mix_out", "down"), part == "embedding", part == "head"
    shrunk = (2 * layers) ** -0.5 if ends else 1.0
    stds: dict[str, float] = {
        "llama": 0.02 * CUT_AT_3 * shrunk,
        "gpt2": 0.02 * shrunk,
        "small": 0.006,
        "fan_in": 1.0 if table else CUT_AT_3 * n_in**-0.5,
        "normalized": (n_out if ends else n_in) ** -0.5,
        "nanochat": 1.0 if table else 0.0 if ends else 0.001 if head else n_in**-0.5,
    }
    return stds[spec]


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["llama", "gpt2", "small", "fan_in", "normalized", "nanochat"])
@pytest.mark.parametrize(("width", "layers"), [(64, 64), (200, 7), (1024, 2)])
def test_a_recipe_states_its_law_at_any_width_and_depth(spec: str, width: int, layers: int) -> None:
    model = language.traced(layers, width, device="meta")
    for row in ib.initialize(model, spec).rows:
        if len(row.shape) == 2:
            ends = {"0": "embedding", str(layers + 2): "head"}
            path = row.parameter.removesuffix(".weight")
            part = ends.get(path, path.rpartition(".")[2])
            wanted = law(spec, part, row.shape, layers)
            assert row.std_nominal == pytest.approx(wanted, rel=1e-4), row.parameter


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["llama", "fan_in", "mup"])
def test_a_billion_parameters_are_reported_on_meta_in_less_than_10_seconds(spec: str) -> None:
    sizes = {"vocab_size": 32_000, "num_attention_heads": 32, "num_key_value_heads": 8}
    wide = {"hidden_size": 2048, "intermediate_size": 8192, **sizes}
    narrow = {"hidden_size": 256, "intermediate_size": 1024, **sizes}
    with torch.device("meta"):
        model = language.llama(16, **wide)
    base = {"base": lambda: language.llama(16, **narrow).to("meta")} if spec == "mup" else {}
    init = InitSpec(spec, tuple(base.items()))  # type: ignore[arg-type]
    started = time.process_time()
    report = ib.initialize(model, init)
    assert time.process_time() - started < 10
    assert sum(math.prod(row.shape) for row in report.rows) > 1e9
    assert all(value.is_meta for value in model.parameters())


@given(width=st.sampled_from((64, 128, 200)), layers=st.integers(1, 6), seed=st.integers(0, 9))
def test_llama_draws_what_it_states(width: int, layers: int, seed: int) -> None:
    model = language.traced(layers, width)
    ib.initialize(model, "llama", seed=seed)
    for name, value in weights(model).items():
        ends = name.endswith(("mix_out.weight", "down.weight"))
        std = 0.019731568 / (math.sqrt(2 * layers) if ends else 1)
        assert near_one(ratio_of(value, std), value.numel()), name
        assert value.abs().max() <= 0.06 / (math.sqrt(2 * layers) if ends else 1) * (1 + 1e-6)


@pytest.mark.parametrize("name", language.MODELS)
def test_llama_finds_the_ends_of_branches_of_transformers_models(name: str) -> None:
    model = language.MODELS[name](layers=3)
    rows = {row.parameter: row for row in ib.initialize(model, "llama").rows}
    ends = {parameter for parameter, row in rows.items() if "ends a residual" in row.note}
    assert ends == {parameter for parameter in rows if is_output(parameter)}
    assert len(ends) == 6
    base = rows[next(iter(rows))].std_nominal
    assert base is not None
    assert all(rows[end].std_nominal == pytest.approx(base / math.sqrt(6)) for end in ends)


@pytest.mark.parametrize("name", language.MODELS)
def test_gpt2_finds_them_too(name: str) -> None:
    model = language.MODELS[name](layers=3)
    rows = ib.initialize(model, "gpt2").rows
    assert {
        row.parameter for row in rows if row.std_nominal == pytest.approx(0.02 / math.sqrt(6))
    } == {row.parameter for row in rows if is_output(row.parameter)}


@pytest.mark.parametrize("name", language.MODELS)
def test_fan_in_keeps_the_variance_of_every_layer(name: str) -> None:
    model = language.MODELS[name]()
    report = ib.initialize(model, "fan_in")
    tied = name in ("qwen", "gpt2")
    for row in report.rows:
        if len(row.shape) < 2:
            continue
        is_table = row.parameter.endswith(("embed_tokens.weight", "wte.weight", "wpe.weight"))
        table_std = 32**-0.5 if tied and "wpe" not in row.parameter else 1.0
        std = table_std if is_table else 0.98658 / math.sqrt(row.fan_in or 0)
        assert row.std_nominal == pytest.approx(std, rel=1e-4), row.parameter


@pytest.mark.parametrize("name", language.MODELS)
def test_normalized_gives_every_vector_along_the_stream_length_1(name: str) -> None:
    model = language.MODELS[name]()
    ib.initialize(model, "normalized")
    for parameter, value in weights(model).items():
        stored_in_first = name == "gpt2" and "c_" in parameter
        along = -2 if is_output(parameter) != stored_in_first else -1
        lengths = value.norm(dim=along)
        assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5), parameter


@pytest.mark.parametrize("name", language.MODELS)
def test_nanochat_starts_branches_at_0_and_the_head_near_it(name: str) -> None:
    model = language.MODELS[name]()
    ib.initialize(model, "nanochat")
    head = model.get_parameter("lm_head.weight").detach()
    assert near_one(ratio_of(head, 0.001), head.numel())
    for parameter, value in weights(model).items():
        assert value.any() != is_output(parameter), parameter
    assert model.eval()(torch.arange(8)[None]).logits.abs().max().item() < 0.05


@pytest.mark.parametrize("name", ["llama", "qwen", "mixtral"])
def test_norms_of_their_own_start_so_that_they_change_nothing(name: str) -> None:
    model = language.MODELS[name]()
    norms = {n: p for n, p in model.named_parameters() if "norm" in n}
    for value in norms.values():
        value.data.fill_(0.3)
    ib.initialize(model, "llama")
    assert norms and all((value == 1).all() for value in norms.values())


def test_a_norm_that_multiplies_by_1_plus_its_scale_starts_at_0() -> None:
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

    model = nn.Sequential(nn.Linear(4, 4), GemmaRMSNorm(4))
    model[1].weight.data.fill_(0.3)  # type: ignore[operator]
    ib.initialize(model, "small")
    assert not model[1].weight.any()  # type: ignore[operator]


@pytest.mark.parametrize("spec", RECIPES)
@pytest.mark.parametrize("name", language.MODELS)
def test_a_recipe_on_meta_states_what_it_draws_elsewhere(name: str, spec: str) -> None:
    with torch.device("meta"):
        planned = ib.initialize(language.MODELS[name](), spec)
    done = ib.initialize(language.MODELS[name](), spec)
    same = ["parameter", "shape", "fan_in", "initializer", "std_nominal", "note"]
    assert planned.table[same].equals(done.table[same])
    assert planned.table["std_measured"].isna().all()
    assert "nothing was drawn" in planned.traced


@pytest.mark.parametrize("spec", RECIPES)
def test_a_recipe_keeps_bfloat16_and_draws_by_name(spec: str) -> None:
    half, full = language.llama().bfloat16(), language.llama()
    for model in (half, full, wrapped := nn.ModuleDict({"module": language.llama()})):
        assert spec == "gpt2" or ib.initialize(model, spec).left == {}
        ib.initialize(model, spec)
    for name, value in half.named_parameters():
        assert value.dtype is torch.bfloat16
        reference = full.get_parameter(name).float()
        assert torch.allclose(value.float().std(), reference.std(), rtol=0.1, atol=1e-3)
    same = [is_output(name) for name, value in wrapped.named_parameters() if not value.any()]
    assert same == [True] * (6 if spec == "nanochat" else 0)


class Odd(nn.Module):
    """A block whose layers have names that say nothing, in a model that is not traced."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.omega = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        if x.sum() > 0:  # torch.fx cannot follow
            x = -x
        return x + self.omega(self.alpha(x))


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Odd(), Odd()])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("spec", ["llama", "normalized", "nanochat"])
def test_a_weight_that_cannot_be_placed_is_named_and_nothing_is_changed(spec: str) -> None:
    model = Stack()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    message = r"'blocks\.0\.alpha\.weight' \(Linear.*outputs='\*\.alpha'"
    with pytest.raises(InitBenchError, match=message):
        ib.initialize(model, spec)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_outputs_place_what_names_do_not() -> None:
    model: Any = Stack()
    table = ib.initialize(model, "llama(outputs='*.omega')").table.set_index("parameter")
    stds = table["std_nominal"]
    assert stds["blocks.1.omega.weight"] == pytest.approx(stds["blocks.1.alpha.weight"] / 2)
    with pytest.raises(InitBenchError, match=r"outputs='\*\.zeta' matches no weight"):
        ib.initialize(model, "llama(outputs='*.zeta')")


class Wrapped(nn.Module):
    """Hold a model as ``module``, as DistributedDataParallel does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = model

    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [torch.compile, Wrapped], ids=["compiled", "wrapped"])
def test_ends_of_branches_are_found_through_wrappers(wrap: Any) -> None:
    report = ib.initialize(wrap(language.llama()), "llama")
    assert sum("ends a residual" in row.note for row in report.rows) == 6
