"""Verdicts: the right one on the right layer, none where nothing is wrong."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from matplotlib.colors import to_hex
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from init_bench.cli.app import main
from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.judgment import COLUMNS, NETWORK
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis
from init_bench.diagnosis.rules.menu import RULES, register_rule, verdict_names
from init_bench.diagnosis.rules.rule import Rule
from init_bench.errors import InitBenchError
from init_bench.init import initialize
from init_bench.testing import assert_healthy
from tests import models_to_diagnose
from tests.models_to_diagnose import Functional, batch, book_network, sound

FITTING = {"relu": "he_normal", "gelu": "he_normal", "tanh": "lecun_normal", "selu": "lecun_normal"}


def looked_at(model: nn.Module) -> Diagnosis:
    return diagnose(model, *batch())


def starts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return layer and verdict of the bad findings that follow from nothing."""
    found = diagnosis.bad[diagnosis.bad["cause"] == ""]
    return [(str(layer), str(verdict)) for layer, verdict in found[["layer", "verdict"]].to_numpy()]


def resnet(init: str) -> nn.Module:
    model: nn.Module = torchvision.models.resnet18(num_classes=10)
    initialize(model, init)
    return model


def weight(model: nn.Module, layer: str) -> Tensor:
    found = model.get_submodule(layer).weight
    assert isinstance(found, Tensor)
    return found.data


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.verdict}: {rule.quantity[:30]}")
def test_every_rule_says_what_it_measures_and_what_helps(rule: Rule) -> None:
    assert rule.quantity and rule.advice and rule.meaning


def test_the_names_are_those_of_the_contract() -> None:
    assert set(verdict_names()) == {
        "vanishing_signal", "exploding_signal", "saturated", "dead_units", "collapsed",
        "symmetric", "vanishing_gradient", "exploding_gradient", "nonfinite", "one_sided",
    }  # fmt: skip


@pytest.mark.parametrize("activation", FITTING)
@pytest.mark.parametrize("depth", [3, 6, 12])
def test_a_sound_network_is_healthy(activation: str, depth: int) -> None:
    found = looked_at(sound(activation, FITTING[activation], depth))
    assert found.healthy, str(found)
    assert found.verdicts[["layer", "verdict"]].to_numpy().tolist()[0] == [NETWORK, "healthy"]
    assert found.verdicts["value"].iloc[0] > 1


@pytest.mark.parametrize("layer", ["fc1", "fc3", "fc5"])
@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.01, "vanishing_signal"), (30, "exploding_signal")]
)
@pytest.mark.parametrize("activation", FITTING)
def test_a_layer_of_the_wrong_scale_is_found(
    activation: str, factor: float, verdict: str, layer: str
) -> None:
    model = sound(activation, FITTING[activation])
    weight(model, layer).mul_(factor)
    assert starts(looked_at(model)) == [(layer, verdict)]


@pytest.mark.parametrize("layer", ["fc1", "fc3", "fc5"])
def test_a_layer_of_equal_rows_is_symmetric(layer: str) -> None:
    model = sound()
    weight(model, layer)[:] = weight(model, layer)[0].clone()
    assert starts(looked_at(model))[0] == (layer, "symmetric")


@pytest.mark.parametrize("layer", ["fc1", "fc3", "fc5"])
def test_a_bias_that_kills_is_found_at_its_layer(layer: str) -> None:
    model = sound()
    model.get_submodule(layer).bias.data.fill_(-10)  # type: ignore[operator]
    assert starts(looked_at(model))[0] == (layer, "dead_units")


def kinked(activation: nn.Module, *, units: int = 64, bias: float = 0.0) -> nn.Sequential:
    """Return two hidden layers of he_normal, this the bias of the first."""
    hidden = nn.Linear(30, units), activation, nn.Linear(units, units), activation
    model = nn.Sequential(*hidden, nn.Linear(units, 4))
    initialize(model, "he_normal")
    nn.init.constant_(hidden[0].bias, bias)
    return model


def one_sided(found: Diagnosis) -> list[str]:
    return found.verdicts.query("verdict == 'one_sided'")["layer"].to_list()


@pytest.mark.parametrize("bias", [-10.0, 4.0, 10.0])
@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(), nn.PReLU()]
)
def test_a_layer_on_one_side_of_the_kink_is_to_be_watched(
    activation: nn.Module, bias: float
) -> None:
    found = looked_at(kinked(activation, bias=bias))
    if isinstance(activation, nn.ReLU) and bias < 0:
        assert starts(found)[0] == ("0", "dead_units")
        return
    watched = found.verdicts.iloc[1]
    assert found.healthy and watched["verdict"] == "one_sided", str(found)
    assert watched["layer"] == "0" and watched["value"] > 0.99 and "bias 0" in watched["advice"]


@pytest.mark.parametrize("layer", ["fc1", "fc3", "fc5"])
def test_a_layer_of_zeros_is_found(layer: str) -> None:
    model = sound()
    weight(model, layer).zero_()
    assert starts(looked_at(model))[0] == (layer, "vanishing_signal")


class TwoHeads(nn.Module):
    """Returns what two layers make of one body."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.policy, self.value = sound(), nn.Linear(4, 3), nn.Linear(4, 1)
        initialize(self, "he_normal")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.body(x)
        return self.policy(z), self.value(z)


def test_what_one_head_returns_is_not_attributed_to_another() -> None:
    def loss_fn(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        return output[0].square().mean() + (output[1].flatten() - targets).square().mean()

    model = TwoHeads()
    weight(model, "policy").zero_()
    assert "value" not in set(diagnose(model, *batch(), loss_fn).bad["layer"])


@pytest.mark.slow
def test_a_healthy_network_says_what_is_nearest_to_its_limit_and_where() -> None:
    said = looked_at(sound()).verdicts.iloc[0]
    assert re.match(r'margin: .* that of \w+ at layer "fc\d": ', said["quantity"])
    pattern = r'closest to a limit: \w+ at layer "fc\d": (.+), (.+)× (below|above) the limit (.+)'
    nearest = re.fullmatch(pattern, said["meaning"])
    assert nearest
    value, times, side, limit = nearest.groups()
    ratio = float(value) / float(limit)
    assert float(times) == pytest.approx(ratio if side == "above" else 1 / ratio, rel=0.1)
    assert f"<td>margin {said['value']:.3g}</td>" in looked_at(sound())._repr_html_()
    assert looked_at(sound()).summary == f"Healthy. C{said['meaning'][1:]}."


def test_a_last_layer_of_zeros_is_no_fault() -> None:
    model = sound()
    weight(model, "fc6").zero_()
    found = looked_at(model)
    assert found.healthy and found.notes == ()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("layer", ["fc1", "fc3", "fc6"])
def test_one_value_that_is_not_finite_is_found(layer: str, value: float) -> None:
    model = sound()
    weight(model, layer)[0, 0] = value
    found = looked_at(model)
    assert starts(found) == [(layer, "nonfinite")]
    share = 1 / weight(model, layer).numel()
    assert found.verdicts["value"].iloc[0] == pytest.approx(share)


def test_what_follows_names_its_cause_and_comes_after_what_starts() -> None:
    model = sound("relu", "he_normal", depth=10)
    weight(model, "fc4").mul_(0.0001)
    found = looked_at(model).bad
    assert found["cause"].tolist()[0] == ""
    followers = found[found["cause"] != ""]
    assert len(followers) and set(followers["cause"]) == {"fc4"}
    assert set(followers["advice"]) == {'fix layer "fc4" first (vanishing_signal there)'}
    assert not found.loc[found["cause"] == "", "advice"].str.startswith("fix ").any()
    assert followers.index.min() > found[found["cause"] == ""].index.max()


class Called(nn.Module):
    """The layers of a ``sound`` network, its nonlinearities called as functions."""

    def __init__(self, twin: nn.Module, activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: part for name, part in twin.named_children() if isinstance(part, nn.Linear)}
        )
        self.phi = getattr(torch, activation)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers.values()
        for layer in hidden:
            x = self.phi(layer(x))
        logits: Tensor = last(x)
        return logits


def changed(twin: nn.Module, how: str) -> None:
    for name, part in twin.named_children():
        if isinstance(part, nn.Linear) and (how == "std 1.5" or name == "fc3"):
            if how == "std 1.5":
                part.weight.data.normal_(0, 1.5, generator=torch.Generator().manual_seed(0))
            else:
                part.bias.data.fill_(-10)


@pytest.mark.parametrize(
    ("activation", "how"), [("tanh", "std 1.5"), ("sigmoid", "std 1.5"), ("relu", "bias -10")]
)
def test_a_nonlinearity_called_as_a_function_is_judged_as_a_module_is(
    activation: str, how: str
) -> None:
    twin = sound(activation, FITTING.get(activation, "xavier_normal"))
    changed(twin, how)
    expected, found = (
        one.bad[one.bad["cause"] == ""] for one in map(looked_at, (twin, Called(twin, activation)))
    )
    assert len(expected)
    pd.testing.assert_frame_equal(found[["verdict", "value"]], expected[["verdict", "value"]])
    in_front = [f"layers.{layer.replace('act', 'fc')}" for layer in expected["layer"]]
    assert found["layer"].tolist() == in_front


def test_a_function_on_one_side_of_its_kink_is_judged_as_a_module_is() -> None:
    twin = sound()
    twin.get_submodule("fc1").bias.data.fill_(10)  # type: ignore[operator]
    assert one_sided(looked_at(Called(twin, "relu"))) == ["layers.fc1"]


class Positive(nn.Module):
    """Two ReLUs in a row, one behind a pooling, one behind a shortcut whose branch is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 4)
        initialize(self, "he_normal")
        nn.init.zeros_(self.branch.weight)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(torch.relu(self.stem(x)))
        z = torch.relu(functional.max_pool2d(z, 5))
        z = torch.relu(z + self.branch(z))
        logits: Tensor = self.head(z.mean(dim=(2, 3)))
        return logits


@pytest.mark.parametrize("samples", [2, 16])
def test_values_that_are_positive_by_design_are_no_fault(samples: int) -> None:
    x = torch.randn(samples, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    assert one_sided(diagnose(Positive(), x)) == []


@pytest.mark.parametrize("seed", range(8))
def test_few_units_or_samples_on_one_side_by_chance_are_no_fault(seed: int) -> None:
    x = 1 + 0.01 * torch.randn(2, 30, generator=torch.Generator().manual_seed(seed))
    for units in (1, 3, 64):
        model = kinked(nn.LeakyReLU(), units=units)
        initialize(model, "he_normal", seed=seed)
        assert one_sided(diagnose(model, x)) == []


@pytest.mark.parametrize("learned", ["queries", "positions"])
def test_what_no_sample_reaches_kills_no_unit(learned: str) -> None:
    """Queries of attention, or positions, that are the same for all samples are no fault."""

    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries = nn.Parameter(torch.randn(1, 4, 32))
            self.table, self.embed = nn.Embedding(4, 32), nn.Linear(30, 32)
            self.attend = nn.MultiheadAttention(32, 4, batch_first=True)
            self.head = nn.Linear(32, 4)
            initialize(self, "torch.default")

        def forward(self, x: Tensor) -> Tensor:
            rows = self.table(torch.arange(4))[None] if learned == "positions" else self.queries
            z = self.embed(x)[:, None]
            logits: Tensor = self.head(self.attend(rows.expand(len(x), -1, -1), z, z)[0].mean(1))
            return logits

    found = looked_at(Asking())
    assert found.healthy, str(found)


class Wrapping(nn.Module):
    """Does something to the input and to the output of a sound network."""

    def __init__(self, before: Callable[[Tensor, Tensor], Tensor], value: float) -> None:
        super().__init__()
        self.before, self.scale = before, nn.Parameter(torch.full((1,), value))
        self.body = sound("relu", "he_normal")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(self.before(x, self.scale))
        return logits


@pytest.mark.parametrize("value", [0.0, 1.0, 8.0])
def test_a_function_of_a_parameter_is_no_layer(value: float) -> None:
    for phi in (torch.sigmoid, functional.softplus):
        found = looked_at(Wrapping(lambda x, scale, phi=phi: x * (0.5 + phi(scale)), value))  # type: ignore[misc]
        assert found.healthy, str(found)
        assert not found.profile["layer"].str.contains(":").any()


def test_a_function_behind_the_last_layer_is_no_hidden_one() -> None:
    class Squashed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = sound("relu", "he_normal")
            self.body.get_submodule("fc6").bias.data.fill_(-9)  # type: ignore[operator]

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(self.body(x))

    assert looked_at(Squashed()).healthy


class Fused(nn.Module):
    """A layer and its nonlinearity in one."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.empty(fan_out, fan_in)),
            nn.Parameter(torch.zeros(fan_out)),
        )
        nn.init.kaiming_normal_(self.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(functional.linear(x, self.weight, self.bias))


@pytest.mark.parametrize("spoilt", [0, 2])
def test_a_function_inside_a_layer_is_attributed_to_that_layer(spoilt: int) -> None:
    blocks = [Fused(30, 30) for _ in range(4)]
    model = nn.Sequential(*blocks, nn.Linear(30, 4))
    assert looked_at(model).healthy
    blocks[spoilt].bias.data.fill_(-10)
    assert starts(looked_at(model))[0] == (str(spoilt), "dead_units")


class WrittenOut(nn.Module):
    """GELU as GPT-2 spells it."""

    def forward(self, x: Tensor) -> Tensor:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + torch.tanh(inner))


def test_a_nonlinearity_written_out_is_judged_by_what_it_returns() -> None:
    found = []
    for phi in (WrittenOut, lambda: nn.GELU("tanh")):
        layers = [part for _ in range(5) for part in (nn.Linear(30, 30), phi())]
        model = nn.Sequential(*layers, nn.Linear(30, 4))
        initialize(model, "he_normal")
        for name, part in model.named_children():
            if isinstance(part, nn.Linear) and name != "10":
                part.weight.data *= 1.7
        found.append(looked_at(model))
    assert found[0].healthy
    columns = ["layer", "nonlinear"]
    pd.testing.assert_frame_equal(found[0].profile[columns], found[1].profile[columns])


def test_gradients_are_judged_where_a_checkpoint_hides_those_of_functions() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(30, 30) for _ in range(8))
            self.head = nn.Linear(30, 4)
            initialize(self, "normal(std=0.05)")

        def forward(self, x: Tensor) -> Tensor:
            x = x.requires_grad_()
            for layer in self.layers:
                x = checkpoint(lambda z, part=layer: torch.relu(part(z)), x, use_reentrant=True)
            logits: Tensor = self.head(x)
            return logits

    assert "vanishing_gradient" in set(looked_at(Repeated()).bad["verdict"])


@dataclass
class Output:
    """What a model of a library may return."""

    logits: Tensor


def test_an_output_in_a_dataclass_is_judged_too() -> None:
    class Packing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = sound("relu", "he_normal")
            for name in ("fc4", "fc5", "fc6"):
                weight(self.body, name).mul_(8)

        def forward(self, x: Tensor) -> Output:
            return Output(self.body(x))

    model = Packing()
    packed = diagnose(model, *batch(), lambda out, y: functional.cross_entropy(out.logits, y))
    assert len(packed.bad) == len(looked_at(model.body).bad) > 0


@pytest.mark.parametrize("factor", [0.01, 30])
def test_a_nonlinearity_that_is_no_module_hides_nothing(factor: float) -> None:
    model = Functional()
    x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(16) % 4
    assert diagnose(model, x, y).healthy
    weight(model, "branch").mul_(factor)
    found = diagnose(model, x, y)
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    assert found.healthy and set(watched["layer"]) == {"branch"}  # its norm undoes the scale


def test_a_residual_branch_that_ends_in_zeros_is_no_fault() -> None:
    model = Functional()
    model.norm.weight.data.zero_()
    x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert diagnose(model, x, torch.arange(16) % 4).healthy


@pytest.mark.parametrize(("change", "verdict"), [(1e5, "exploding_signal"), (0, "symmetric")])
def test_a_model_that_is_one_layer_is_judged_too(change: float, verdict: str) -> None:
    model = nn.Linear(30, 4)
    model.weight.data = model.weight.data * change if change else torch.ones(4, 30)
    assert verdict in {found for layer, found in starts(looked_at(model)) if layer == ""}


class Normalized(nn.Module):
    """Linear layers with a normalization behind and a ReLU in front of each, with or without ways
    around; ``inside`` has the ReLU behind the normalization, in the branch."""

    def __init__(
        self, norm: Callable[[int], nn.Module], around: bool, inside: bool = False
    ) -> None:
        super().__init__()
        self.around, self.inside = around, inside
        self.linears = nn.ModuleList(nn.Linear(30, 30) for _ in range(4))
        self.norms = nn.ModuleList(norm(30) for _ in range(4))
        self.head = nn.Linear(30, 4)
        initialize(self, "he_normal")

    def forward(self, x: Tensor) -> Tensor:
        for linear, norm in zip(self.linears, self.norms, strict=True):
            z = norm(linear(x if self.inside else functional.relu(x)))
            z = functional.relu(z) if self.inside else z
            x = x + z if self.around else z
        logits: Tensor = self.head(x)
        return logits


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_a_normalization_of_weight_0_is_found_unless_the_signal_goes_around(
    norm: Callable[[int], nn.Module],
) -> None:
    for around in (False, True):
        model = Normalized(norm, around)
        assert looked_at(model).healthy
        weight(model, "norms.1").zero_()
        found = looked_at(model)
        assert starts(found)[:1] == ([] if around else [("norms.1", "vanishing_signal")])


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_a_branch_that_no_gradient_enters_is_dead_for_ever(
    norm: Callable[[int], nn.Module],
) -> None:
    """Behind the weight of 0 a ReLU sits at 0, where its slope is 0: it will never learn."""
    model = Normalized(norm, around=True, inside=True)
    assert looked_at(model).healthy
    weight(model, "norms.1").zero_()
    assert starts(looked_at(model)) == [("norms.1", "vanishing_signal")]


def test_a_normalization_of_weight_0_at_the_end_is_named() -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 4), nn.BatchNorm1d(4))
    weight(model, "3").zero_()
    assert starts(looked_at(model))[0] == ("3", "vanishing_signal")


@pytest.mark.parametrize(("large", "severity"), [([2], "watch"), ([0, 2, 4, 6], "bad")])
def test_a_saturated_layer_is_to_be_watched_and_saturation_throughout_is_bad(
    large: list[int], severity: str
) -> None:
    layers = [part for _ in range(4) for part in (nn.Linear(30, 30), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(30, 4))
    initialize(model, "lecun_normal")
    for layer in large:
        weight(model, str(layer)).mul_(8)
    found = looked_at(model).verdicts.query("verdict == 'saturated'")
    assert found["layer"].iloc[0] == str(large[0] + 1), str(found)
    assert set(found["severity"]) == {severity}, str(found)


def test_gates_that_start_shut_are_to_be_watched_while_the_signal_goes_around() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.gate = nn.Linear(30, 30), nn.Linear(30, 30)
            nn.init.constant_(self.gate.bias, -3.0)

        def forward(self, x: Tensor) -> Tensor:
            gate = torch.sigmoid(self.gate(x))
            return gate * torch.relu(self.inner(x)) + (1 - gate) * x

    torch.manual_seed(0)
    found = looked_at(nn.Sequential(*[Gated() for _ in range(4)], nn.Linear(30, 4)))
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    assert found.healthy and set(watched["verdict"]) == {"saturated"}, str(found)


BOOK = {
    ("normal(std=1)", "sigmoid"): "saturated",
    ("normal(std=0.01)", "sigmoid"): "collapsed",
    ("normal(std=0.01)", "relu"): "vanishing_signal",
}


class Attention(nn.Module):
    """x + proj(attention(norm(x))), written by hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        total: Tensor = x + self.proj(functional.scaled_dot_product_attention(q, k, v))
        return total


class Branches(nn.Module):
    """Embedding or not, then branches of one kind around which the signal goes, then a head."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.branches, self.head = nn.Sequential(*branches), nn.Linear(32, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.branches(self.embedding(tokens)).mean(1))
        return scores


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


ZERO_ENDS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "attention written by hand": (lambda: Branches(Attention(32), Attention(32)), ("proj.weight",)),
    "attention of torch's": (lambda: Branches(encoder()), ("out_proj.weight",)),
    "both ends of an encoder layer": (
        lambda: Branches(encoder()),
        ("out_proj.weight", "linear2.weight"),
    ),
}


@pytest.mark.parametrize("name", ZERO_ENDS)
def test_branches_that_start_as_nothing_are_no_fault(name: str) -> None:
    make, ends = ZERO_ENDS[name]
    tokens = torch.randint(50, (16, 12), generator=torch.Generator().manual_seed(0))
    model = make()
    initialize(model, "torch.default")
    for parameter, values in model.named_parameters():
        if parameter.startswith("branches") and parameter.endswith(ends):
            values.data.zero_()
    found = diagnose(model, tokens, torch.arange(16) % 5)
    assert found.healthy, str(found)


def test_what_follows_from_its_own_layer_is_left_out() -> None:
    model = sound("relu", "he_normal")
    weight(model, "fc5").mul_(1e4)
    found = looked_at(model)
    assert (found.bad["cause"] != found.bad["layer"]).all()
    assert ("fc5", "exploding_signal") in starts(found)


@pytest.mark.parametrize(("init", "activation"), BOOK)
def test_the_books_bad_networks_get_its_verdict(init: str, activation: str) -> None:
    found = diagnose(*book_network(init, activation))
    assert starts(found)[0][1] == BOOK[init, activation]


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_the_books_network_of_std_1_over_root_n_works_but_shrinks(activation: str) -> None:
    found = diagnose(*book_network("lecun_normal", activation))
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    assert found.healthy and watched["verdict"].tolist() == ["vanishing_signal"]


def test_the_books_he_network_is_healthy() -> None:
    found = diagnose(*book_network("he_normal", "relu"))
    assert found.verdicts["verdict"].tolist() == ["healthy"]


@pytest.mark.slow
@pytest.mark.parametrize("init", ["torch.default", "normal(std=1e-3)"])
def test_a_default_resnet_is_healthy_and_small_weights_in_one_are_to_be_watched(init: str) -> None:
    model = resnet(init)
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = diagnose(model, images, torch.arange(8))
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    assert found.healthy and watched.empty is (init == "torch.default"), str(found)


@pytest.mark.parametrize(
    ("activation", "init", "verdict"),
    [("sigmoid", "xavier_normal", "vanishing_gradient"),
     ("relu", "normal(std=1)", "exploding_signal")],
)  # fmt: skip
def test_what_adds_up_over_depth_is_seen(activation: str, init: str, verdict: str) -> None:
    found = looked_at(sound(activation, init, depth=12))
    assert verdict in set(found.bad["verdict"])


def test_without_a_loss_no_gradient_is_judged() -> None:
    found = diagnose(sound("sigmoid", "lecun_normal", depth=12), batch()[0])
    assert not found.healthy
    assert not found.verdicts["verdict"].str.contains("gradient").any()


def test_the_columns_are_those_of_the_contract() -> None:
    assert list(looked_at(sound()).verdicts.columns) == ["step", *COLUMNS]
    assert {"layer", "verdict", "value", "threshold", "advice"} <= set(COLUMNS)


@pytest.mark.parametrize(("factor", "said"), [(0.01, "smaller"), (30, "larger")])
def test_the_answer_names_the_layer_to_fix_and_how_far_its_weights_are_off(
    factor: float, said: str
) -> None:
    model = sound()
    weight(model, "fc3").mul_(factor)
    pattern = (
        rf'1 layer .*; fix layer "fc3" first: its weights are (\d+)× {said} than recommended\.'
    )
    found = looked_at(model)
    answer = re.fullmatch(pattern, found.summary)
    assert answer and int(answer[1]) == pytest.approx(max(factor, 1 / factor), rel=0.3)
    value, recommended = found.bad[["value", "recommended"]].iloc[0]
    assert int(answer[1]) == pytest.approx(max(value / recommended, recommended / value), abs=0.5)
    assert f"(recommended {recommended:.3g})" in str(found)


def test_weights_of_zero_are_called_so() -> None:
    model = sound()
    weight(model, "fc3").zero_()
    assert 'fix layer "fc3" first: its weights are all 0.' in looked_at(model).summary


def mean_offset(evidence: Evidence) -> pd.DataFrame:
    """Return the mean of each output of a linear layer."""
    rows = evidence.profile[evidence.profile["module"] == "Linear"]
    return rows[["layer", "index"]].assign(value=rows["mean"].abs())


@pytest.fixture
def added() -> Iterator[Rule]:
    rule = Rule(
        verdict="off_center", quantity="|mean| of the output", measure=mean_offset, threshold=5.0,
        above=True, local=True, meaning="its output is {size}", advice="set its bias to 0",
        mark=("#123456", "h"),
    )  # fmt: skip
    register_rule(rule)
    yield rule
    RULES.remove(rule)


def off_center() -> nn.Module:
    model = sound("tanh", "lecun_normal")
    model.get_submodule("fc3").bias.data.fill_(8.0)  # type: ignore[operator]
    return model


@pytest.mark.slow
def test_a_rule_from_outside_is_in_table_text_page_json_and_figure(added: Rule) -> None:
    found = looked_at(off_center())
    assert ("fc3", "off_center") in starts(found)
    pattern = r'^layer "fc3" \(Linear\): off_center, value \d\S* above the limit 5'
    told = rf"{pattern}\n  value: \|mean\| of the output\n  fix: set its bias to 0$"
    assert re.search(told, str(found), re.MULTILINE)
    assert "off_center" in found._repr_html_() and "off_center" in found.to_json()
    collections = found.figure().axes[0].collections
    (mark,) = (mark for mark in collections if mark.get_label() == added.verdict)
    assert to_hex(np.asarray(mark.get_facecolor())[0]) == "#123456"
    assert_healthy(sound("tanh", "lecun_normal"), *batch(), allow="off_center")


def test_a_rule_from_outside_is_in_the_json_of_the_command_line(
    added: Rule, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_to_diagnose, "spoilt", off_center, raising=False)
    monkeypatch.setattr(
        sys,
        "argv",
        ["init-bench", "diagnose", "tests.models_to_diagnose:spoilt", "--input=16,30", "--json"],
    )
    with pytest.raises(SystemExit):
        main()
    assert added.verdict in {row["verdict"] for row in json.loads(capsys.readouterr().out)}


def test_a_rule_is_registered_once(added: Rule) -> None:
    with pytest.raises(InitBenchError, match=r"'off_center' .* is registered already"):
        register_rule(added)


def test_a_layer_that_amplifies_later_is_no_way_around_a_small_one() -> None:
    layers = [layer for _ in range(5) for layer in (nn.Linear(30, 30), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(30, 4))
    initialize(model, "he_normal", seed=0)
    for place, factor in ((2, 0.005), (4, 100.0)):
        weight(model, str(place)).mul_(factor)
    found = diagnose(model, torch.randn(64, 30), torch.randint(4, (64,)))
    bad = found.verdicts[found.verdicts["severity"] == "bad"]
    assert {"2", "4"} <= set(bad["layer"]), str(found)


@pytest.mark.parametrize("init", ["torch.default", "lecun_normal", "he_normal", "normal(std=0.01)"])
def test_few_layers_that_lose_most_of_the_signal_are_to_be_watched(init: str) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    initialize(model, init)
    found = diagnose(model, torch.rand(32, 1, 28, 28), torch.arange(32) % 10)
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    loses = init == "normal(std=0.01)"
    assert list(watched["verdict"]) == ["vanishing_signal"] * loses and found.healthy


class Siren(nn.Module):
    """Sines whose factor 30 stands in front of the nonlinearity, outside the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 if i else 2, 64) for i in range(5))
        self.head = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(30 * layer(x))
        out: Tensor = self.head(x)
        return out


def test_one_step_down_is_no_rate_per_layer() -> None:
    torch.manual_seed(0)
    model = Siren()
    initialize(model, "siren")
    inputs = 2 * torch.rand(256, 2) - 1
    targets = torch.sin(8 * inputs[:, :1])
    found = diagnose(model, inputs, targets, nn.MSELoss()).verdicts
    assert "vanishing_signal" not in set(found["verdict"])


@pytest.mark.parametrize(("init", "small"), [("he_normal", False), ("lecun_normal", True)])
def test_where_no_weight_is_small_a_signal_that_shrinks_is_not_laid_to_the_weights(
    init: str, small: bool
) -> None:
    class Shrinking(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return 0.7 * super().forward(x)

    blocks = [(nn.Linear(64, 64), Shrinking()) for _ in range(5)]
    model = nn.Sequential(*(part for block in blocks for part in block), nn.Linear(64, 10))
    initialize(model, init)
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    found = diagnose(model, x, torch.arange(64) % 10).verdicts
    (advice,) = found.loc[found["severity"] == "watch", "advice"]
    assert ("no weight is smaller than recommended" in advice) != small


@pytest.mark.parametrize(("std", "drowns"), [(0.02, False), (1.0, False), (20.0, True)])
@pytest.mark.parametrize("inside", [True, False])
def test_a_position_embedding_that_drowns_the_content_is_to_be_watched(
    std: float, *, drowns: bool, inside: bool
) -> None:
    class Places(nn.Module):
        def __init__(self, first: nn.Module) -> None:
            super().__init__()
            self.first, self.at = first, nn.Parameter(torch.randn(1, 30) * std)

        def forward(self, x: Tensor) -> Tensor:
            added: Tensor = self.first(x) + self.at
            return added

    torch.manual_seed(0)
    first = nn.Linear(30, 30)
    start = [Places(first)] if inside else [first, Places(nn.Identity())]
    head = nn.LayerNorm(30), nn.Linear(30, 30), nn.GELU(), nn.Linear(30, 4)
    found = diagnose(nn.Sequential(*start, *head), *batch())
    told = found.verdicts[found.verdicts["severity"] == "watch"]
    assert ("collapsed" in set(told["verdict"])) == drowns, str(found)
    assert found.healthy, str(found)
