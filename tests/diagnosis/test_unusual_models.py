"""Complex weights, compiled parts, TorchScript, copied layers, lazy models.

Models of tables alone, and models whose forward writes to their parameters.
"""

import copy
import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError

X, Y = torch.randn(16, 12, 64, generator=torch.Generator().manual_seed(2)), torch.arange(16) % 10


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 128, dtype=torch.complex64)
        self.second = nn.Linear(128, 128, dtype=torch.complex64)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        z = self.second(self.first(x.mean(1).to(torch.complex64)))
        out: Tensor = self.head(z.abs())
        return out


@pytest.mark.parametrize("spec", ["he_normal", "he_uniform", "xavier_uniform", "lecun_normal"])
def test_complex_weights_have_the_mean_square_modulus_of_the_law(spec: str) -> None:
    report = ib.initialize(Complex(), spec).table.set_index("parameter")
    row = report.loc["second.weight"]
    assert row["std_measured"] == pytest.approx(row["std_nominal"], rel=0.05)


def test_complex_layers_are_scaled_by_a_batch_to_modulus_1() -> None:
    model = Complex()
    ib.initialize(model, "lsuv", batch=X)
    first = model.first(X.mean(1).to(torch.complex64))
    for z in (first, model.second(first)):
        assert z.std(correction=0).item() == pytest.approx(1, rel=0.05)


def test_complex_layers_are_judged_by_modulus() -> None:
    torch.manual_seed(0)
    model = Complex()
    ib.initialize(model, "lecun_normal")
    sound = ib.diagnose(model, X, Y)
    gains = sound.profile.set_index("layer").weight_gain
    assert sound.healthy
    assert gains[["first", "second"]].tolist() == pytest.approx([1, 1], rel=0.1)
    model.second.weight.data *= 1e-3
    bad = ib.diagnose(model, X, Y).bad
    assert (bad.layer.iloc[0], bad.verdict.iloc[0]) == ("second", "vanishing_signal")


def test_a_compiled_forward_function_is_run_without_the_compiler() -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    plain = ib.diagnose(model, X[:, 0], Y)
    model.forward = torch.compile(model.forward)
    compiled = ib.diagnose(model, X[:, 0], Y)
    assert plain.verdicts.equals(compiled.verdicts)
    assert any("without the compiler" in note for note in compiled.notes)


def test_a_compiled_part_is_run_without_the_compiler() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    plain = ib.diagnose(model, X[:, 0], Y)
    model[0] = torch.compile(model[0], backend="eager")  # type: ignore[assignment]
    compiled = ib.diagnose(model, X[:, 0], Y)
    assert plain.verdicts.equals(compiled.verdicts)


def test_what_holds_an_empty_list_is_no_layer_without_parts() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.extra, self.head = nn.ModuleList(), nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(x)
            return logits

    assert list(ib.diagnose(Optional(), X[:, 0], Y).profile.layer) == ["head"]


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_is_refused_with_what_to_pass() -> None:
    layer = nn.Linear(64, 10)
    for hidden in (torch.jit.script(layer), torch.jit.trace(layer, X[:, 0])):  # type: ignore[no-untyped-call]
        with pytest.raises(InitBenchError, match="pass the module that torch"):
            ib.diagnose(hidden, X[:, 0], Y)


class Factors(nn.Module):
    """Scores of pairs: the product of two rows, of one table each."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.left, self.right = nn.Embedding(50, 16), nn.Embedding(50, 16)
        nn.init.normal_(self.left.weight, std=0.1)
        nn.init.normal_(self.right.weight, std=std)

    def forward(self, pairs: Tensor) -> Tensor:
        scores: Tensor = (self.left(pairs[:, 0]) * self.right(pairs[:, 1])).sum(1)
        return scores


PAIRS = torch.randint(50, (64, 2), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("std", [0.1, 0.0])
def test_a_model_of_tables_alone_is_diagnosed(std: float) -> None:
    torch.manual_seed(0)
    found = ib.diagnose(Factors(std), PAIRS, torch.randn(64), nn.functional.mse_loss)
    assert found.healthy and found.notes == (), str(found)  # one table of zeros learns


def test_two_tables_of_zeros_never_learn() -> None:
    model = Factors(0.0)
    nn.init.zeros_(model.left.weight)
    found = ib.diagnose(model, PAIRS, torch.ones(64), nn.functional.mse_loss)
    assert set(found.bad.verdict) == {"vanishing_gradient"}


class FromFirstBatch(nn.Module):
    """Takes mean and scale from the first batch that it sees."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.scale = nn.Parameter(torch.zeros(64)), nn.Parameter(torch.ones(64))
        self.register_buffer("seen", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        if not self.seen:
            with torch.no_grad():
                self.mean.copy_(x.mean(0))
                self.scale.copy_(1 / (x.std(0) + 1e-6))
                self.seen.fill_(True)
        return (x - self.mean) * self.scale


class MovingCodes(nn.Module):
    """A codebook that follows a mean of what it codes: forward puts new parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(8, 64)

    def forward(self, x: Tensor) -> Tensor:
        chosen = torch.cdist(x, self.codes.weight).argmin(1)
        coded = self.codes(chosen)
        if self.training:
            shares = nn.functional.one_hot(chosen, 8).float().mean(0, keepdim=True).T
            moved = torch.lerp(self.codes.weight.data, x.detach().mean(0), 0.1 * shares)
            self.codes.weight = nn.Parameter(moved)
        straight: Tensor = x + (coded - x).detach()
        return straight


class BoundedRows(nn.Linear):
    """Rows no longer than 0.5, seen to in each forward."""

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data = torch.renorm(self.weight.data, 2, 0, 0.5)
        return super().forward(x)


class BuiltByFirstBatch(nn.Module):
    """Makes its layer and its parameter when it is called."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "scale"):
            self.scale, self.mean = nn.Parameter(torch.ones(x.shape[1])), nn.Buffer(x.mean(0))
            self.layer = nn.Linear(x.shape[1], x.shape[1])
        out: Tensor = self.layer(x - self.mean) * self.scale
        return out


@pytest.mark.parametrize(
    "part", [FromFirstBatch, MovingCodes, lambda: BoundedRows(64, 64), BuiltByFirstBatch]
)
def test_what_a_forward_writes_to_parameters_is_restored(part: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), part(), nn.Linear(64, 10))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    found = ib.diagnose(model, X[:, 0], Y)
    ib.rate_window(model, X[:, 0], Y)
    assert found.healthy, str(found)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))


def test_what_a_forward_keeps_as_an_attribute_is_restored() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRU(64, 16, batch_first=True), nn.Linear(16, 10)
            self.state: Tensor | None = None
            self.calls: list[float] = []

        def forward(self, x: Tensor) -> Tensor:
            outputs, state = self.cell(x, self.state)
            self.state = state.detach()
            self.calls.append(random.random())
            logits: Tensor = self.head(outputs[:, -1])
            return logits

    model, draws = Stateful(), random.getstate()
    ib.diagnose(model, X, Y)
    ib.rate_window(model, X, Y)
    assert model.state is None and model.calls == [] and random.getstate() == draws


def test_a_graph_that_is_held_as_an_attribute_is_left_as_it_is() -> None:
    class Convolved(nn.Linear):
        edges: Tensor

        def forward(self, x: Tensor) -> Tensor:
            mixed: Tensor = torch.sparse.mm(self.edges, super().forward(x))
            return mixed

    model = Convolved(64, 10)
    model.edges = edges = torch.eye(len(X)).to_sparse()
    assert ib.diagnose(model, X[:, 0], Y).healthy
    assert model.edges is edges


def test_copies_and_shared_parameters_are_a_remark() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 64)
    copied = nn.Sequential(layer, nn.Tanh(), copy.deepcopy(layer), nn.Tanh(), nn.Linear(64, 10))
    shared = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(64, 10))
    ib_copied, ib_shared = (ib.diagnose(model, X[:, 0], Y) for model in (copied, shared))
    assert ib_copied.healthy and ib_shared.healthy
    assert any("equal values at the start: 0.weight, 2.weight" in x for x in ib_copied.notes)
    assert any("2.weight is 0.weight" in x for x in ib_shared.notes)


def test_layers_of_torchs_encoder_start_as_copies() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 64, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(768, 10))
    notes = " ".join(ib.diagnose(model, X, Y).notes)
    assert "0.layers.0.self_attn.in_proj_weight, 0.layers.1.self_attn.in_proj_weight" in notes


def test_an_output_layer_tied_to_its_embedding_is_no_remark() -> None:
    embedding, head = nn.Embedding(40, 16), nn.Linear(16, 40, bias=False)
    head.weight = embedding.weight
    nn.init.normal_(embedding.weight, std=1 / math.sqrt(16))
    model = nn.Sequential(embedding, head)
    notes = ib.diagnose(model, torch.randint(0, 40, (8, 5))).notes
    assert not any("several names" in note for note in notes)


def test_a_lazy_model_is_refused_with_what_to_call_first() -> None:
    with pytest.raises(InitBenchError, match=r"model\(inputs\)"):
        ib.diagnose(nn.Sequential(nn.LazyLinear(4)), X[:, 0])


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_part_of_a_model_is_passed_over() -> None:
    scripted = torch.jit.script(nn.Linear(4, 8))
    model = nn.Sequential(scripted, nn.ReLU(), nn.Linear(8, 3))
    with ib.capture(model) as record:
        model(torch.randn(16, 4))
    assert record.table()["layer"].unique().tolist() == ["1", "2"]
    assert ib.diagnose(model, torch.randn(16, 4)).healthy
    report = ib.initialize(model, "he_normal").table.set_index("parameter")
    assert "use not known" in str(report.loc["0.weight", "note"])
    assert report.loc["2.weight", "note"] == ""
