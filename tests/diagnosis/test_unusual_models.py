"""Complex weights, compiled forward functions, copied layers, lazy models."""

import copy
import math
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
