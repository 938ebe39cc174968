"""Evidence: inputs against outputs along the samples, every weight, no float64 on a device."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from init_bench import diagnose
from init_bench.diagnosis.evidence.collection import Evidence, collect_evidence
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream

SAMPLES, STEPS, WIDTH = 6, 5, 8


class Recurrent(nn.Module):
    """Sequences of vectors to one answer per sequence."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.mix = nn.LSTM(WIDTH, WIDTH, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.mix(x)[0]
        return found


class Attending(nn.Module):
    """Each step attends to all, called with keywords."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.mix = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.mix(query=x, key=x, value=x, need_weights=False)[0]
        return found


def encoder(*, batch_first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=batch_first)


def sequences() -> Tensor:
    """Return (samples, steps, width): what changes over samples and what over steps differ."""
    apart = torch.randn(SAMPLES, 1, 1, generator=stream(0, "samples"))
    return 3 * apart + torch.randn(SAMPLES, STEPS, WIDTH, generator=stream(0, "steps"))


def evidence_of(model: nn.Module, x: Tensor) -> Evidence:
    return collect_evidence(model, x, None, lambda output, _: output.square().mean())


@pytest.mark.parametrize("build", [Recurrent, Attending, encoder])
def test_the_batch_dimension_may_be_either(
    build: Callable[..., nn.Module],
) -> None:
    first, second = build(batch_first=True), build(batch_first=False)
    second.load_state_dict(first.state_dict())
    here = evidence_of(first, sequences())
    there = evidence_of(second, sequences().transpose(0, 1))
    pd.testing.assert_frame_equal(here.profile, there.profile, rtol=1e-4, atol=1e-6)
    assert here.output == pytest.approx(there.output, rel=1e-4)
    assert here.profile[["input_sample_std", "outputs"]].notna().all(axis=None)


def test_the_input_of_a_layer_is_the_output_of_the_one_before() -> None:
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 4))
    profile = evidence_of(model, sequences()[:, 0]).profile
    for name in ("std", "sample_std", "dead"):
        assert profile[f"input_{name}"][1:].tolist() == pytest.approx(profile[name][:-1].tolist())


def spoilt(model: nn.Module, parameter: str, change: Callable[[Tensor], Any]) -> set[str]:
    """Return the bad verdicts on the mixing layer of a model one of whose weights is changed."""
    with torch.no_grad():
        change(model.get_parameter(parameter))
    found = diagnose(model, sequences()).verdicts
    return set(found[(found["layer"] == "mix") & (found["severity"] == "bad")]["verdict"])


def equal_rows(weight: Tensor) -> None:
    weight.copy_(weight[:1].expand_as(weight).clone())


@pytest.mark.parametrize("name", ["mix.in_proj_weight", "mix.out_proj.weight"])
def test_attentions_weights_are_judged(name: str) -> None:
    build = Attending
    assert not spoilt(build(batch_first=True), name, lambda w: w)
    assert "exploding_signal" in spoilt(build(batch_first=True), name, lambda w: w.mul_(60))
    assert "vanishing_signal" in spoilt(build(batch_first=True), name, lambda w: w.mul_(0.01))
    assert "symmetric" in spoilt(build(batch_first=True), name, equal_rows)


@pytest.mark.parametrize("name", ["mix.weight_ih_l0", "mix.weight_hh_l0"])
def test_recurrent_weights_are_judged(name: str) -> None:
    assert not spoilt(Recurrent(batch_first=True), name, lambda w: w)
    assert "exploding_signal" in spoilt(Recurrent(batch_first=True), name, lambda w: w.mul_(60))


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_a_computed_weight_has_gain_and_gradient(kind: str) -> None:
    layer = getattr(nn.utils.parametrizations, kind)(nn.Linear(8, 30))
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(30, 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = evidence_of(model, sequences()[:, 0])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    weights = found.weights.set_index("parameter")
    plain = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), model[2])
    plain[0].load_state_dict({"weight": layer.eval().weight, "bias": layer.bias})
    same = evidence_of(plain, sequences()[:, 0]).weights.set_index("parameter")
    loose = 0.3 if kind == "spectral_norm" else 1e-4  # measured after one more power iteration
    for column in ("gain", "gradient_ratio"):
        expected = same.loc["0.weight", column]
        assert weights.loc["0.weight", column] == pytest.approx(expected, rel=loose)
    assert found.profile["weight_gain"].notna().tolist() == [True, False, True]


def test_a_wrapped_model_has_the_evidence_of_the_one_inside() -> None:
    model = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 4))
    plain, wrapped = (evidence_of(m, sequences()[:, 0]) for m in (model, nn.DataParallel(model)))
    pd.testing.assert_frame_equal(plain.profile, wrapped.profile)
    pd.testing.assert_frame_equal(plain.weights, wrapped.weights)


class Frames(nn.Module):
    """All steps of all samples in one batch, then one answer per sample; a table of one row."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.whole = nn.Linear(WIDTH, WIDTH), nn.Linear(STEPS * WIDTH, 2)
        self.position = nn.Linear(1, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        found = self.each(x.flatten(0, 1)) + self.position(x.new_ones(1, 1))
        logits: Tensor = self.whole(found.view(len(x), -1))
        return logits


def test_what_has_a_row_per_sample_is_judged_and_a_table_is_not() -> None:
    profile = evidence_of(Frames(), sequences()).profile
    assert profile["layer"].tolist() == ["each", "whole"]


@pytest.mark.parametrize("before", [None, torch.ones(8, 4)])
def test_gradients_of_inputs_are_left_alone(before: Tensor | None) -> None:
    x = torch.ones(8, 4, requires_grad=True)
    x.grad = before
    diagnose(
        nn.Linear(4, 3),
        (x,),
        torch.arange(8) % 3,
        capture_at=(0, 1),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    )
    assert x.grad is before


class InEvaluation(torch.autograd.Function):
    """Fails backward as cuDNN's recurrent layers do in evaluation mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        raise RuntimeError("cudnn RNN backward can only be called in training mode")


def test_a_recurrent_layer_that_a_gpu_cannot_differentiate_is_named() -> None:
    class Own(nn.LSTM):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            found: Tensor = InEvaluation.apply(super().forward(x)[0])
            return found

    with pytest.raises(InitBenchError, match=r"^Own has a recurrent layer in evaluation mode"):
        evidence_of(Own(WIDTH, 4).eval(), sequences())
