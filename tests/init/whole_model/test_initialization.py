"""One initializer over a whole network: weights by (seed, qualified name) and nothing else."""

import json
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS, InitSpec, initialize, parse, register_init
from init_bench.init.lookup import LOSS_INITS, MODULE_INITS
from init_bench.init.whole_model.initialization import fill_weights
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.report import Row

ALARM = 1e-9
"""Chance of a false alarm per distribution check; fewer than 200 are made here."""


def layers(*names: str) -> nn.Sequential:
    """Return 6-to-6 layers of the given names, with batch norm wherever a name says so."""

    def layer(name: str) -> nn.Module:
        return nn.BatchNorm1d(6) if name.startswith("bn") else nn.Linear(6, 6)

    return nn.Sequential(OrderedDict((name, layer(name)) for name in names))


def weights(
    model: nn.Module,
    spec: str = "he_normal",
    seed: int = 0,
    fill: Callable[..., object] = initialize,
) -> dict[str, Tensor]:
    fill(model, spec, seed=seed)
    return {name: value.detach() for name, value in model.named_parameters()}


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3)
    )


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "torch.orthogonal"])
@given(
    names=st.permutations(["fc1", "fc2", "bn1", "fc3"]),
    extra=st.sampled_from([(), ("fc9",), ("bn9", "fc10")]),
    seed=st.integers(0, 2**40),
)
def test_a_parameter_depends_on_seed_and_name_alone(
    spec: str, names: list[str], extra: tuple[str, ...], seed: int
) -> None:
    plain = weights(layers("fc1", "fc2", "bn1", "fc3"), spec, seed)
    other = weights(layers(*extra, *names), spec, seed)
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_a_weight_is_drawn_from_the_stream_of_its_qualified_name() -> None:
    model = nn.Sequential(OrderedDict(block=layers("fc1")))
    initialize(model, "lecun_normal", seed=4)
    expected = parse("lecun_normal")(torch.empty(6, 6), generator=stream(4, "block.fc1.weight"))
    assert torch.equal(model.get_parameter("block.fc1.weight"), expected)


def test_a_model_that_is_one_layer_has_plain_names() -> None:
    expected = parse("he_normal")(torch.empty(3, 5), generator=stream(0, "weight"))
    assert torch.equal(weights(nn.Linear(5, 3))["weight"], expected)


@pytest.mark.parametrize("spec", ["he_normal", "torch.default"])
def test_names_and_seeds_give_different_weights(spec: str) -> None:
    first, second = weights(layers("fc1", "fc2"), spec), weights(layers("fc1", "fc2"), spec, 1)
    drawn = [*(w[f"fc{i}.weight"] for w in (first, second) for i in (1, 2))]
    assert not any(torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "torch.sparse(sparsity=0.5)"])
def test_the_global_stream_neither_moves_nor_matters(spec: str) -> None:
    before, first = torch.get_rng_state(), layers("fc1", "bn1")
    untouched = torch.get_rng_state()
    weights_before = weights(first, spec)
    assert torch.equal(untouched, torch.get_rng_state())
    assert not torch.equal(before, untouched), "building a layer is what moves it"
    again = weights(layers("fc1", "bn1"), spec)
    assert all(torch.equal(weights_before[name], again[name]) for name in again)


def test_the_model_is_filled_in_place() -> None:
    model = conv_net()
    parameters = list(model.parameters())
    initialize(model, "he_normal")
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert all(p.requires_grad and p.is_leaf and p.grad is None for p in parameters)


def test_frozen_parameters_stay_frozen() -> None:
    model = conv_net().requires_grad_(False)
    initialize(model, "he_normal")
    assert not any(p.requires_grad for p in model.parameters())


def test_biases_of_filled_layers_are_zero_and_norms_are_torchs() -> None:
    model = conv_net()
    for parameter in model.parameters():
        nn.init.constant_(parameter, torch.nan)
    found = weights(model, "he_normal")
    assert not found["0.bias"].any() and not found["4.bias"].any()
    assert (found["1.weight"] == 1).all() and not found["1.bias"].any()
    assert all(value.isfinite().all() for value in found.values())


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(7, 5), lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm1d(4)]
)
def test_torch_default_is_what_torch_draws_from_the_same_stream(make: type[nn.Module]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(2, "weight").initial_seed())
        fresh = make()
    found = weights(make(), "torch.default", seed=2)
    assert all(torch.equal(found[name], value) for name, value in fresh.named_parameters())


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_torch_default_is_uniform_in_torchs_bounds(part: str) -> None:
    end = 1 / math.sqrt(400)
    values = weights(nn.Linear(400, 300), "torch.default")[part].flatten().numpy()
    distance = stats.kstest(values, stats.uniform(-end, 2 * end).cdf, mode="asymp").statistic
    assert np.abs(values).max() <= end
    # Dvoretzky-Kiefer-Wolfowitz
    assert distance < math.sqrt(math.log(2 / ALARM) / (2 * values.size))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MultiheadAttention(4, 2),
        lambda: nn.TransformerEncoderLayer(4, 2, 8),
        lambda: nn.LSTM(3, 4),
        lambda: nn.Embedding(5, 4),
    ],
    ids=["attention", "transformer", "lstm", "embedding"],
)
def test_torch_default_fills_whatever_torch_ships_from_the_seed(make: type[nn.Module]) -> None:
    first, second = weights(make(), "torch.default"), weights(make(), "torch.default")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("spec", ["he_normal", "torch.default"])
def test_a_spec_may_come_parsed(spec: str) -> None:
    assert isinstance(parse(spec), InitSpec)
    model = layers("fc1")
    initialize(model, parse(spec), seed=3)
    assert torch.equal(
        model.get_parameter("fc1.weight"), weights(layers("fc1"), spec, 3)["fc1.weight"]
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("he_norml", "unknown init 'he_norml'"),
        ("normal(std=-1)", "std must be a finite number >= 0, got -1"),
        ("torch.dirac", r"torch\.nn\.init\.dirac_ refuses a weight of shape \(6, 6\)"),
    ],
)
def test_a_spec_that_cannot_fill_the_model_is_refused(spec: str, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        initialize(layers("fc1"), spec)


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "variance_scaling"])
def test_in_a_hurry_a_model_gets_the_same_weights(spec: str) -> None:
    hasty = weights(conv_net(), spec, 5, fill_weights)
    assert all(
        torch.equal(hasty[name], value) for name, value in weights(conv_net(), spec, 5).items()
    )


class Attending(nn.Module):
    """Attention inside a module of its own: what runs is torch's, around the projections."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"attention": nn.MultiheadAttention(6, 2)})

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(self.parts["attention"](x, x, x)[0])


def test_in_a_hurry_nested_attention_has_the_same_nonlinearity_behind_it() -> None:
    spec = "critical_normal(sigma_b2=0.5)"
    hasty = weights(Attending(), spec, 5, fill_weights)
    found = weights(Attending(), spec, 5)
    assert all(torch.equal(hasty[name], value) for name, value in found.items())
    rows = initialize(Attending(), spec, seed=5).rows
    assert {row.nonlinearity for row in rows if len(row.shape) == 2} == {"gelu"}


BLOCKS: dict[str, tuple[Callable[[], nn.Module], str, int, tuple[int, int]]] = {
    "lstm input": (lambda: nn.LSTM(300, 200), "weight_ih_l0", 4, (300, 200)),
    "lstm state": (lambda: nn.LSTM(300, 200), "weight_hh_l0", 4, (200, 200)),
    "lstm projection": (lambda: nn.LSTM(30, 200, proj_size=50), "weight_hr_l0", 1, (200, 50)),
    "gru": (lambda: nn.GRU(300, 200), "weight_ih_l0", 3, (300, 200)),
    "rnn": (lambda: nn.RNN(300, 200), "weight_ih_l0", 1, (300, 200)),
    "lstm cell": (lambda: nn.LSTMCell(300, 200), "weight_ih", 4, (300, 200)),
    "gru cell": (lambda: nn.GRUCell(300, 200), "weight_ih", 3, (300, 200)),
    "attention": (lambda: nn.MultiheadAttention(150, 2), "in_proj_weight", 3, (150, 150)),
    "grouped": (lambda: nn.Conv2d(60, 240, 3, groups=3), "weight", 3, (180, 720)),
    "depthwise": (lambda: nn.Conv1d(500, 500, 9, groups=500), "weight", 500, (9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(90, 40, 3), "weight", 1, (810, 360)),
    "transposed groups": (lambda: nn.ConvTranspose1d(90, 60, 5, groups=3), "weight", 3, (150, 100)),
    "bilinear": (lambda: nn.Bilinear(20, 30, 50), "weight", 1, (600, 50)),
    "embedding": (lambda: nn.Embedding(500, 40), "weight", 1, (1, 40)),
}
"""Layers whose shape does not tell their fans: parameter, number of blocks, true fans."""


@pytest.mark.parametrize("spec", ["lecun_normal", "xavier_normal", "he_normal(mode='fan_out')"])
@pytest.mark.parametrize("case", BLOCKS)
def test_true_fans_are_used_and_reported(case: str, spec: str) -> None:
    make, name, _, (fan_in, fan_out) = BLOCKS[case]
    model = make()
    row = next(r for r in initialize(model, spec).rows if r.parameter == name)
    assert (row.fan_in, row.fan_out) == (fan_in, fan_out)
    variances = {"lecun": 1 / fan_in, "xavier": 2 / (fan_in + fan_out), "he": 2 / fan_out}
    variance = variances[spec.split("_")[0]]
    assert row.std_nominal == pytest.approx(math.sqrt(variance))
    number = model.get_parameter(name).numel()
    # n s^2 / sigma^2 is chi-squared with n - 1 degrees of freedom
    low, high = stats.chi2(number - 1).ppf([ALARM / 2, 1 - ALARM / 2]) / number
    assert low < row.std_measured**2 / variance < high


@pytest.mark.parametrize("case", [name for name, case in BLOCKS.items() if name != "embedding"])
def test_each_gate_group_and_projection_is_orthogonal_by_itself(case: str) -> None:
    make, name, number, (fan_in, _) = BLOCKS[case]
    model = make()
    initialize(model, "torch.orthogonal")
    weight = model.get_parameter(name).detach()
    if case.startswith("transposed"):
        weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(number)])
    for block in weight.chunk(number):
        matrix = block.flatten(1)
        assert matrix.shape[1] == fan_in
        gram = matrix @ matrix.T if len(matrix) <= fan_in else matrix.T @ matrix
        assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 6, padding_idx=2)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 9)
        self.head.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.full((6,), 7.0))
        self.token = nn.Parameter(torch.full((1, 3, 6), 7.0))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.tanh(self.norm(self.embedding(x))) * self.scale)
        return out


def test_a_tied_weight_is_drawn_once_under_its_first_name() -> None:
    model = Tied()
    report = initialize(model, "normal(std=0.02)")
    assert model.head.weight is model.embedding.weight
    assert [row.parameter for row in report.rows].count("embedding.weight") == 1
    assert "head.weight" not in set(report.table["parameter"])
    alone = nn.Sequential(OrderedDict(embedding=nn.Embedding(9, 6, padding_idx=2)))
    assert torch.equal(weights(alone, "normal(std=0.02)")["embedding.weight"], model.head.weight)


@pytest.mark.parametrize("spec", ["lecun_normal", "he_normal", "xavier_uniform"])
def test_an_embedding_that_is_the_output_layer_too_is_drawn_with_the_fans_of_that(
    spec: str,
) -> None:
    class Speaker(nn.Module):
        def __init__(self, *, tied: bool) -> None:
            super().__init__()
            self.embedding, self.norm = nn.Embedding(500, 64), nn.LayerNorm(64)
            self.inner, self.head = nn.Linear(64, 64), nn.Linear(64, 500, bias=False)
            if tied:
                self.head.weight = self.embedding.weight

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.embedding(tokens)
            logits: Tensor = self.head(self.norm(x + torch.tanh(self.inner(self.norm(x)))))
            return logits

    tied, untied = Speaker(tied=True), Speaker(tied=False)
    report = initialize(tied, spec)
    initialize(untied, spec)
    assert tied.embedding.weight.std().item() == pytest.approx(
        untied.head.weight.std().item(), rel=0.05
    )
    assert (report.rows[0].fan_in, report.rows[0].fan_out) == (64, 500)
    tokens = torch.arange(500)
    loss = nn.functional.cross_entropy(tied(tokens), tokens.flip(0))
    assert loss < 1.5 * math.log(500)


@pytest.mark.parametrize("pattern", ["head.weight", "head", "embedding.*"])
def test_a_tied_weight_is_overridden_by_any_of_its_names(pattern: str) -> None:
    model = Tied()
    report = initialize(model, "he_normal", overrides={pattern: "constant(value=0.5)"})
    assert (model.head.weight[3] == 0.5).all()
    assert report.rows[2].note == "override; tied to head.weight"


def test_the_old_weight_norm_is_refused_with_the_new_one() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated is the reason
        model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(InitBenchError, match=r"module '0' .*parametrizations\.weight_norm"):
        initialize(model, "he_normal")


def test_the_padding_row_of_an_embedding_stays_zero() -> None:
    model = Tied()
    initialize(model, "he_normal")
    assert not model.embedding.weight[2].any() and model.embedding.weight[3].all()


def test_what_is_left_alone_keeps_its_values_and_is_told() -> None:
    model = Tied()
    report = initialize(model, "he_normal")
    assert (model.scale == 7).all() and (model.token == 7).all()
    assert set(report.left) == {"scale", "token"}
    assert all("Tied does not say how it starts" in why for why in report.left.values())


@pytest.mark.parametrize("spec", ["he_normal", "torch.default", "torch.orthogonal"])
def test_a_parametrized_weight_is_assigned_through_its_parametrization(spec: str) -> None:
    plain = weights(nn.Sequential(OrderedDict(fc=nn.Linear(5, 4))), spec)
    model = nn.Sequential(OrderedDict(fc=weight_norm(nn.Linear(5, 4))))
    report = initialize(model, spec)
    assert torch.allclose(model.get_submodule("fc").weight, plain["fc.weight"], atol=1e-6)  # type: ignore[arg-type]
    assert torch.equal(model.get_parameter("fc.bias"), plain["fc.bias"])
    assert {row.parameter for row in report.rows} == {"fc.weight", "fc.bias"}


def test_a_transformer_of_torchs_does_not_overwrite_what_its_parts_drew() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nested tensors, which nothing here uses
        model = nn.Transformer(8, 2, 1, 1, 16)
    initialize(model, "constant(value=0.5)")
    matrices = [p for name, p in model.named_parameters() if p.dim() > 1]
    assert all((p == 0.5).all() for p in matrices)


class Flow(nn.Module):
    """Layers in an order and with functions that only the forward function tells."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(4, 2), nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(self.norm(self.first(x))))
        return out


class Untraceable(Flow):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def found(model: nn.Module, **given: Any) -> dict[str, tuple[str, str]]:
    rows = initialize(model, "he_normal", **given).rows
    return {r.parameter: (r.nonlinearity, r.found_by) for r in rows if len(r.shape) > 1}


def test_the_report_tells_what_follows_and_how_it_was_found() -> None:
    assert found(Flow()) == {"first.weight": ("tanh", "fx"), "last.weight": ("identity", "fx")}
    assert found(conv_net()) == {"0.weight": ("relu", "order"), "4.weight": ("identity", "order")}
    assert set(found(Untraceable()).values()) == {("", "unknown")}
    assert set(found(Untraceable(), activation="gelu").values()) == {("gelu", "activation=")}


def test_the_end_of_an_inner_sequence_is_known_only_by_tracing() -> None:
    class Inner(nn.Module):
        def __init__(self, *, stubborn: bool) -> None:
            super().__init__()
            self.stubborn = stubborn
            self.body = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(self.body(abs(x) if self.stubborn and x.sum() > 0 else x))

    assert found(Inner(stubborn=False)) == {
        "body.0.weight": ("gelu", "fx"),
        "body.2.weight": ("sin", "fx"),
    }
    assert found(Inner(stubborn=True)) == {
        "body.0.weight": ("gelu", "order"),
        "body.2.weight": ("", "unknown"),
    }


def test_a_report_says_why_a_model_could_not_be_traced() -> None:
    report = initialize(Untraceable(), "he_normal")
    assert "could not be traced (TraceError" in report.traced
    assert report.traced in str(report) and report.traced in report._repr_html_()


def test_the_specs_own_gain_wins_over_what_follows() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    gains = {
        spec: initialize(model, spec).rows[0].gain
        for spec in ("he_normal", "he_normal(nonlinearity='tanh')", "xavier_normal(gain=3)")
    }
    assert list(gains.values()) == [math.sqrt(2), 5 / 3, 3.0]


def test_an_init_made_for_a_nonlinearity_is_told_the_one_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []

    def curious_(tensor: Tensor, nonlinearity: str = "relu", *, generator: Any = None) -> Tensor:
        told.append(nonlinearity)
        return tensor

    monkeypatch.setitem(INITS, "curious", curious_)  # restores the whole entry afterwards
    del INITS["curious"]
    register_init("curious", curious_, takes_nonlinearity=True)
    initialize(Flow(), "curious")
    assert sorted(told) == ["identity", "tanh"]
    told.clear()
    fill_weights(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)), "curious")
    assert told == ["tanh", "identity"]
    told.clear()
    initialize(Flow(), "curious(nonlinearity='selu')")
    assert told == ["selu", "selu"]


def test_an_override_by_module_fills_weights_and_zeroes_biases() -> None:
    model = layers("fc1", "fc2")
    report = initialize(model, "he_normal", overrides={"fc2": "constant(value=0.5)"})
    assert (model.get_parameter("fc2.weight") == 0.5).all()
    assert not model.get_parameter("fc2.bias").any()
    plain = weights(layers("fc1", "fc2"))
    assert torch.equal(model.get_parameter("fc1.weight"), plain["fc1.weight"])
    notes = report.table.set_index("parameter")["note"]
    assert notes["fc2.weight"] == "override" and notes["fc1.weight"] == ""


@pytest.mark.parametrize("pattern", ["fc2.bias", "*2.bias", "fc?.bias"])
def test_an_override_that_names_a_bias_fills_it(pattern: str) -> None:
    model = layers("fc1", "fc2")
    initialize(model, "he_normal", overrides={pattern: "constant(value=-4.6)"})
    assert (model.get_parameter("fc2.bias") == -4.6).all()


def test_an_override_reaches_a_norm_and_a_free_parameter() -> None:
    model = Tied()
    initialize(model, "he_normal", overrides={"norm.weight": "zeros", "scale": "ones"})
    assert not model.norm.weight.any() and (model.scale == 1).all()


def test_an_override_by_torch_default_resets_that_parameter_alone() -> None:
    model = layers("fc1")
    initialize(model, "ones", overrides={"fc1.bias": "torch.default"}, seed=2)
    fresh = weights(layers("fc1"), "torch.default", 2)
    assert torch.equal(model.get_parameter("fc1.bias"), fresh["fc1.bias"])
    assert (model.get_parameter("fc1.weight") == 1).all()


def test_the_last_override_that_matches_counts() -> None:
    model = layers("fc1", "fc2")
    initialize(model, "he_normal", overrides={"*": "zeros", "fc2.*": "ones"})
    assert not model.get_parameter("fc1.weight").any()
    assert (model.get_parameter("fc2.weight") == 1).all()


def test_a_buffer_that_reset_parameters_resets_is_reset() -> None:
    model = conv_net()
    model.get_buffer("1.running_mean").fill_(9.0)
    initialize(model, "he_normal")
    assert not model.get_buffer("1.running_mean").any()


def state(model: nn.Module) -> dict[str, Any]:
    tensors = {k: v.clone() for k, v in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    return {**tensors, **modes, "rng": torch.get_rng_state()}


def same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    pairs = ((before[key], after[key]) for key in before)
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


def noisy_loss(output: Tensor) -> Tensor:
    torch.manual_seed(3)
    raise RuntimeError("no such class")


BATCH = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("spec", "given", "message"),
    [
        ("he_norml", {}, "unknown init 'he_norml'"),
        ("torch.dirac", {}, r"torch\.nn\.init\.dirac_ refuses a weight"),
        ("he_normal", {"overrides": {"lsat.*": "zeros"}}, r"'lsat\.\*' matches no .* mean 'last'"),
        ("he_normal", {"overrides": {"last": "lsuv"}}, "override 'last': lsuv needs a batch"),
        ("he_normal", {"overrides": {"norm.weight": "he_normal"}}, "2 or more dimensions"),
        ("he_normal", {"activation": "rellu"}, "unknown activation 'rellu': did you mean 'relu'"),
        ("lsuv", {}, r"lsuv needs a batch: initialize\(model, 'lsuv', batch=inputs\)"),
        ("metainit", {"batch": BATCH}, "metainit needs a loss: .* loss_fn=loss_fn"),
        ("lsuv", {"batch": BATCH[:, :2]}, r"does not take the batch of shape \(6, 2\)"),
        ("lsuv", {"batch": BATCH * torch.nan}, "output of 'first' has standard deviation nan"),
        ("lsuv", {"batch": BATCH * 0}, "output of 'first' has standard deviation 0"),
        ("lsuv(start='lsuv')", {"batch": BATCH}, "a start is an initializer of one tensor"),
        ("krahenbuhl", {"batch": BATCH * torch.inf}, "output of 'first' is not finite"),
        ("metainit", {"batch": BATCH, "loss_fn": lambda out: out}, r"scalar tensor, .* \(6, 2\)"),
        ("gradinit", {"batch": BATCH, "loss_fn": lambda out: 3.0}, "scalar tensor, got a float"),
        ("gradinit", {"batch": BATCH, "loss_fn": noisy_loss}, r"the loss, .* fails: no such class"),
        ("metainit", {"batch": BATCH, "loss_fn": lambda out: BATCH.sum()}, "does not depend on"),
        ("metainit", {"batch": BATCH, "loss_fn": lambda out: out.sum() * torch.nan}, "quotient is"),
        (
            "gradinit",
            {"batch": BATCH, "loss_fn": lambda out: out.sum() * torch.nan},
            "step is nan at",
        ),
        ("lsuv", {"batch": ()}, "lsuv needs a batch"),
        ("lsuv", {"batch": iter([BATCH])}, r"pass the first one it gives, batch=next\(iter"),
        ("gradinit", {"batch": BATCH, "loss_fn": nn.MSELoss}, r"pass an instance: .*MSELoss\(\)"),
        ("he_normal", {"overrides": "zeros"}, r"overrides must be a dict .* got 'zeros'"),
        ("he_normal", {"overrides": {0: "zeros"}}, r"a pattern is a string .* got 0"),
        ("he_normal", {"fans": [1]}, r"fans must be a dict .* got \[1\]"),
        ("he_normal", {"keep": 3}, r"keep must be a list .* got 3"),
        ("he_normal", {"activation": nn.ReLU()}, r"activation must be a name .* got ReLU\(\)"),
        ("fixup", {}, r"no residual branch .* in this Flow; name the modules"),
        ("zero_gamma", {}, r"no residual branch .* in this Flow"),
        ("skipinit(branches='norm')", {}, "branches='norm' names norm, without a weight inside"),
        ("gpt2(branches='norm')", {}, "name the modules that compute f of"),
        ("gpt2(branches='nrom')", {}, "pattern 'nrom' matches no .* did you mean 'norm'"),
        ("t_fixup", {}, "found no nn.TransformerEncoderLayer"),
        ("siren(w0=0)", {}, "w0 must be a finite number"),
    ],
)
def test_what_fails_leaves_the_model_exactly_as_it_was(
    spec: str, given: dict[str, Any], message: str
) -> None:
    model = Flow()
    model.norm.eval()
    before = state(model)
    with pytest.raises(InitBenchError, match=message):
        initialize(model, spec, **given)
    assert same(before, state(model))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.ReLU(), "this ReLU has no parameters to initialize"),
        (nn.Linear, "must be a torch.nn.Module, got the class Linear: pass an object"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta")),
            r"'1.weight' is on the meta device .* model\.to_empty",
        ),
        (nn.LazyLinear(3), r"'weight' is lazy .* run one batch through the model"),
    ],
    ids=["none", "class", "meta", "lazy"],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_model_without_values_is_refused_with_the_way_out(model: Any, message: str) -> None:
    with pytest.raises(InitBenchError, match=message):
        initialize(model, "he_normal")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantized_model_is_refused_as_such() -> None:
    model = nn.Sequential(torch.ao.nn.quantized.Linear(2, 2))  # type: ignore[no-untyped-call]
    with pytest.raises(InitBenchError, match=r"its Linear is quantized, .* pass the model as it"):
        initialize(model, "he_normal")


@pytest.mark.parametrize("fill", [initialize, fill_weights])
@pytest.mark.parametrize(
    ("filled", "said"),
    [
        (
            (),
            r"0 of 6 parameters and left a\.weight, a\.bias, b\.weight, b\.bias, …; let it",
        ),
        (
            ("a.weight", "a.bias", "b.weight", "b.bias"),
            r"4 of 6 .* left c\.weight, c\.bias; let it",
        ),
    ],
)
def test_an_initializer_that_leaves_parameters_unfilled_is_refused(
    fill: Callable[..., object],
    filled: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def some_(network: Network) -> None:
        for name in filled:
            network.write(network.parameters[name], torch.tensor(0.5), "half")

    monkeypatch.setitem(MODULE_INITS, "some", some_)
    with pytest.raises(InitBenchError, match=f"some filled {said}"):
        fill(layers("a", "b", "c"), "some")


def test_the_table_has_a_row_for_every_parameter() -> None:
    table = initialize(conv_net(), "he_normal").table
    assert list(table["parameter"]) == [name for name, _ in conv_net().named_parameters()]
    old_names = ["initialiser", "std_wanted", "std_got"]
    assert list(table.columns) == [*Row.__dataclass_fields__, *old_names]
    drawn = table[table["std_nominal"] > 0]
    assert list(drawn["parameter"]) == ["0.weight", "4.weight"]


class BesideAThread(nn.Module):
    """While its forward function runs, another thread runs another module."""

    seen: ClassVar[list[object]] = []

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        other = nn.Linear(3, 2, bias=False)
        nn.init.ones_(other.weight)
        run = threading.Thread(target=lambda: self.seen.append(other(torch.ones(1, 3))))
        run.start()
        run.join()
        return torch.tanh(self.fc(x))


def test_tracing_disturbs_no_other_thread() -> None:
    model = BesideAThread()
    assert found(model) == {"fc.weight": ("tanh", "fx")}
    assert [getattr(seen, "tolist", str)() for seen in model.seen] == [[[3.0, 3.0]]]


def test_old_names_warn_and_still_work() -> None:
    model = nn.Linear(2, 2)

    def old_(network: Network) -> None:
        network.start("ones")
        with pytest.warns(FutureWarning, match="looking.* is now .*preserved_state"):
            context = network.looking()
        with context:
            network.run()
        with pytest.warns(FutureWarning, match="slots is now Network.parameters"):
            assert network.slots is network.parameters
        with pytest.warns(FutureWarning, match="keeps.* is now .*has_override"):
            assert not network.keeps(network.weights[0])
        assert network.objective().item() == 4

    register_init("old", old_, needs="loss")
    try:
        with pytest.warns(FutureWarning, match="loss_fn="):
            report = initialize(model, "old", batch=torch.ones(1, 2), loss=torch.sum)
    finally:
        LOSS_INITS.pop("old")
    with pytest.warns(FutureWarning, match="std_nominal"):
        assert report.rows[0].std_wanted == 0
    with pytest.warns(FutureWarning, match="std_measured"):
        assert report.rows[0].std_got == 0
    assert report.table["std_got"].equals(report.table["std_measured"])
    assert report.table["std_wanted"].equals(report.table["std_nominal"])


def test_a_report_reads_well_at_the_prompt() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.token = nn.Linear(2, 2), nn.Parameter(torch.ones(1))

    report = initialize(Own(), "he_normal")
    assert report.summary == "he_normal, seed 0: filled 2 of 3 parameters. Unchanged: token."
    assert repr(report).startswith(report.summary) and "std_nominal" in repr(report)
    assert report.summary in report._repr_html_()


def test_the_report_has_the_faces_of_a_result(tmp_path: Path) -> None:
    report = initialize(nn.Sequential(nn.Linear(30, 20), nn.ReLU()), "he_normal")
    nominal, measured = report.figure().axes[0].get_lines()
    assert np.asarray(nominal.get_ydata()).tolist() == [report.rows[0].std_nominal]
    constant = "a zero bias has no point"
    assert np.asarray(measured.get_ydata()).tolist() == [report.rows[0].std_measured], constant
    image, page, text = report.save(tmp_path / "new")
    assert image.stat().st_size and report.summary in page.read_text("utf-8")
    stored = json.loads(text.read_text("utf-8"))
    assert [row["parameter"] for row in stored["rows"]] == ["0.weight", "0.bias"]
    assert stored["rows"][0]["std_nominal"] == pytest.approx((2 / 30) ** 0.5)


def test_a_printed_report_explains_its_columns_and_what_a_rule_starts_from() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    for spec, starts in (("lsuv", True), ("he_normal", False)):
        report = initialize(model, spec, batch=torch.ones(4, 8) * torch.arange(4.0)[:, None])
        assert "std_nominal: " in str(report) and "std_nominal: " in report._repr_html_()
        assert (f"what {spec} starts from" in str(report)) == starts
        assert report.table.set_index("parameter")["initializer"]["1.weight"] == "torch.default"
