"""Diagnose: nothing is changed, bad input is said, every face shows the same findings."""

import html
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import init_bench as ib
from init_bench.errors import InitBenchError
from init_bench.testing import assert_healthy
from tests.models_to_diagnose import Functional, batch, sound


class Awkward(nn.Module):
    """Batch normalization, dropout, an output in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm = nn.Linear(30, 20), nn.BatchNorm1d(20)
        self.drop, self.fc2 = nn.Dropout(0.5), nn.Linear(20, 4)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"hidden": None, "logits": self.fc2(self.drop(torch.relu(self.norm(self.fc1(x)))))}


class Detached(nn.Module):
    """A network whose output leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = sound()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x).detach()
        return logits


def spoilt() -> nn.Module:
    model = sound()
    model.get_submodule("fc3").weight.data.mul_(30)  # type: ignore[operator]
    return model


def state_of(model: nn.Module) -> list[Tensor]:
    """Return copies of all that a look could have changed."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    kept = [*model.state_dict().values(), *gradients, torch.get_rng_state()]
    return [tensor.clone() for tensor in kept]


def test_the_model_is_left_as_it_was() -> None:
    model = Awkward()
    model.fc1.weight.grad = torch.ones_like(model.fc1.weight)
    model.norm.eval()
    before, modes = state_of(model), [m.training for m in model.modules()]
    ib.diagnose(model, batch()[0], batch()[1], lambda out, y: out["logits"].square().mean())
    after = state_of(model)
    assert len(before) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert modes == [m.training for m in model.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_two_looks_agree_in_spite_of_dropout() -> None:
    model = Awkward()
    first, second = (ib.diagnose(model, *batch()).profile for _ in range(2))
    assert first.equals(second)


def test_inputs_may_be_arguments_or_keywords() -> None:
    x, y = batch()
    model = sound()
    as_tensor = ib.diagnose(model, x, y).profile
    assert ib.diagnose(model, (x,), y).profile.equals(as_tensor)
    assert ib.diagnose(model, {"input": x}, y).profile.equals(as_tensor)


def test_a_list_holds_a_sample_each() -> None:
    """Detectors take images as a list: their first dimension is channels, of which one will do."""

    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = sound()

        def forward(self, samples: list[Tensor]) -> Tensor:
            logits: Tensor = self.inner(torch.cat(samples))
            return logits

    x, y = batch()
    found = ib.diagnose(Stacked(), (list(torch.split(x, 1)),), y)
    assert found.loss == ib.diagnose(sound(), x, y).loss


def test_a_compiled_model_is_looked_at_underneath_and_says_so() -> None:
    model = sound()
    compiled: Any = torch.compile(model)
    found = ib.diagnose(compiled, *batch())
    assert found.profile.equals(ib.diagnose(model, *batch()).profile)
    assert "compiled" in found.notes[0] and "compiled" in str(found)


def test_the_loss_is_that_of_the_initial_weights() -> None:
    model, (x, y) = sound(), batch()
    expected = nn.functional.cross_entropy(model(x), y).item()
    assert ib.diagnose(model, x, y).loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_every_face_says_what_and_where() -> None:
    found = ib.diagnose(spoilt(), *batch())
    page = found._repr_html_()
    for face in (str(found), page, found.to_json()):
        assert "exploding_signal" in face and "fc3" in face
    assert "<svg" in page and "<script" not in page


@pytest.mark.slow
def test_what_follows_is_told_the_same_way_in_every_face() -> None:
    model = sound()
    model.get_submodule("fc3").weight.data.mul_(1e-4)  # type: ignore[operator]
    found = ib.diagnose(model, *batch())
    assert (found.bad["cause"] == "fc3").any()
    for face in (str(found), found._repr_html_(), found.to_json()):
        told = face.replace('\\"', '"')  # JSON escapes quotes
        assert 'fix layer "fc3" first (vanishing_signal there)' in told


class Scaled(nn.Module):
    """A model that holds a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.body = nn.Parameter(torch.tensor([torch.nan])), sound()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) * self.scale
        return out


def test_a_parameter_of_the_model_itself_has_a_place_in_words() -> None:
    found = ib.diagnose(Scaled(), *batch())
    assert found.bad["layer"].iloc[0] == ""
    assert "fix (the model itself) first: it holds nan or ±inf" in found.headline
    assert "fix (the model itself) first" in str(found)
    assert "<td>(the model itself)</td>" in found._repr_html_()
    with pytest.raises(AssertionError, match=r"nonfinite \(first at \(the model itself\)\)"):
        assert_healthy(Scaled(), *batch(), allow="dead_units")


def test_the_headline_counts_layer_calls_and_layers_with_weights() -> None:
    said = (
        "Sequential: 11 layer calls (normalizations and nonlinearities included), "
        "6 layers with a weight matrix."
    )
    found = ib.diagnose(sound(), *batch())
    assert str(found).splitlines()[0] == f"{found.summary} {said} Loss: {found.loss:#.3g}."
    without = ib.diagnose(sound(), batch()[0])
    assert str(without).splitlines()[0] == f"{without.summary} {said}"


class Reusing(nn.Module):
    """Calls one function and one module several times, as residual blocks do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.relu = nn.Linear(30, 30), nn.Linear(30, 4), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = nn.functional.tanh(self.relu(self.fc1(x)))
        out: Tensor = self.fc2(x)
        return out


def test_each_call_of_a_layer_that_is_reused_counts_once_however_many_steps() -> None:
    found = ib.diagnose(
        Reusing(),
        *batch(),
        capture_at=(0, 2),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    )
    assert (found.profile["step"] == 0).sum() == 7
    assert "Reusing: 7 layer calls" in found.headline
    assert "2 layers with a weight matrix" in found.headline


def test_json_is_json_without_nan() -> None:
    found = ib.diagnose(sound(), batch()[0])
    read = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert read["healthy"] is True and read["loss"] is None
    assert len(read["layers"]) == len(found.layers) and len(read["weights"]) == len(found.weights)


def test_the_page_cuts_no_advice_short() -> None:
    found = ib.diagnose(spoilt(), *batch())
    page = found._repr_html_()
    assert all(html.escape(advice) in page for advice in found.verdicts["advice"])


def test_theory_stands_beside_what_was_measured_where_it_covers_the_model() -> None:
    covered = ib.diagnose(sound(), *batch())
    labels = covered.figure().axes[0].get_legend_handles_labels()[1]
    assert covered.expected is not None and "theory (mean field)" in labels
    images = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    other = ib.diagnose(Functional(), images, torch.arange(8) % 4)
    labels = other.figure().axes[0].get_legend_handles_labels()[1]
    assert other.expected is None and "theory (mean field)" not in labels


@pytest.mark.slow
def test_save_writes_figure_page_and_json(tmp_path: Path) -> None:
    paths = ib.diagnose(sound(), *batch()).save(tmp_path / "new", "normal(std=0.01)")
    assert [path.name for path in paths] == [
        f"normal-std=0.01.{e}" for e in ("png", "html", "json")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_assert_healthy_passes_and_fails_with_the_findings() -> None:
    assert_healthy(sound(), *batch())
    with pytest.raises(AssertionError, match='1 layer needs attention; fix layer "fc3" first: '):
        assert_healthy(spoilt(), *batch())


def test_assert_healthy_allows_what_it_is_told_to() -> None:
    bad = tuple(ib.diagnose(spoilt(), *batch()).bad["verdict"].unique())
    assert_healthy(spoilt(), *batch(), allow=bad)
    with pytest.raises(InitBenchError, match=r"'dying'\. Known: nonfinite"):
        assert_healthy(sound(), *batch(), allow=("dying",))


def test_assert_healthy_takes_one_name_and_says_what_it_does_not_allow() -> None:
    model = sound()
    with torch.no_grad():
        model.get_parameter("fc3.weight").mul_(1e-4)
        model.get_parameter("fc5.weight").mul_(30)
    with pytest.raises(AssertionError) as caught:
        assert_healthy(model, *batch(), allow="vanishing_signal")
    first = str(caught.value).splitlines()[0]
    assert first.startswith("not allowed: ") and 'exploding_signal (first at layer "fc5")' in first
    assert "vanishing_signal" not in first
    bad = ib.diagnose(model, *batch()).bad["verdict"].unique()
    assert_healthy(model, *batch(), allow=tuple(bad))


class Nothing(nn.Sequential):
    """Runs its layers and forgets to return what they gave."""

    def forward(self, x: Tensor) -> None:
        super().forward(x)  # type: ignore[no-untyped-call]


X, Y = batch()
WORDS = torch.zeros(1, 12, dtype=torch.int64)
BAD_INPUT: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "no module": (print, (X,), r"must be a torch.nn.Module, got builtin_function_or_method"),
    "no parameters": (nn.ReLU(), (X,), "ReLU has no parameters"),
    "wrong shape": (sound(), (torch.zeros(4, 7),), r"float32 \(4, 7\): it stops in layer 'fc1'"),
    "one sample": (sound(), (X[:1],), "hold 1 sample"),
    "one sample of indices": (nn.Embedding(9, 3), (WORDS,), "hold 1 sample"),
    "one image in a list": (sound(), (([X],),), "hold 1 sample"),
    "nan in a later argument": (sound(), ((X, X / 0),), "hold nan or ±inf"),
    "a loss without gradient": (
        sound(),
        (X, Y, lambda out, y: out.detach().sum()),
        r"from the loss back to the output float32 \(64, 4\): loss_fn cuts it off",
    ),
    "a loss per sample": (
        sound(),
        (X, Y, nn.CrossEntropyLoss(reduction="none")),
        r"must return a scalar tensor, got float32 \(64,\): reduce it",
    ),
    "a loss as a float": (
        sound(),
        (X, Y, lambda out, y: nn.functional.cross_entropy(out, y).item()),
        "must return a scalar tensor, got a float",
    ),
    "a class of losses": (
        sound(),
        (X, Y, nn.CrossEntropyLoss),
        r"is the class CrossEntropyLoss: pass an instance: loss_fn=CrossEntropyLoss\(\)",
    ),
    "the name of a loss": (sound(), (X, Y, "mse"), "loss_fn must be a function .* got 'mse'"),
    "targets beyond the classes": (
        sound(),
        (X, Y + 9),
        "class 12, but .* 4 logits per sample: give the last layer 13",
    ),
    "nan inputs": (
        sound(),
        (X.clone().fill_(torch.nan),),
        "hold nan or ±inf .1920 of",
    ),
    "an array": (sound(), (X.numpy(),), "begin with a ndarray: torch.from_numpy"),
    "a loader": (
        sound(),
        (DataLoader(TensorDataset(X)),),
        r"begin with a DataLoader: pass its first batch, such as inputs, targets = next",
    ),
    "minibatches": (sound(), (iter([X]),), "begin with a list_iterator: pass its first batch"),
    "inputs on meta": (sound(), (X.to("meta"),), "on the meta device it has no values; torch"),
    "a model on meta": (sound().to("meta"), (X,), "'.*weight' is on the meta device .*to_empty"),
    "a sparse tensor": (sound(), (X.to_sparse(),), "sparse and nested ones have no statistics"),
    "another type": (sound(), (X.double(),), "its parameters are torch.float32: pass inputs of"),
    "floats for an embedding": (nn.Embedding(9, 3), (X,), "Embedding does not run on float32"),
    "targets of another length": (sound(), (X, Y[:5]), r"targets int64 \(5,\)"),
    "targets that are no classes": (sound(), (X, X), "must be class indices"),
    "a loss of the wrong kind": (sound(), (X, Y, nn.functional.mse_loss), "loss_fn does not take"),
}


NO_LOSS: dict[str, tuple[nn.Module, Any, str]] = {
    "floats": (sound(), Y.float(), r"got targets float32 \(64,\) and output float32 .*mse_loss"),
    "one-hot": (
        sound(),
        nn.functional.one_hot(Y),
        r"targets int64 \(64, 4\) .*pass targets.argmax\(1\)",
    ),
    "of half the width": (sound(), Y.int(), r"pass targets.long\(\)"),
    "a column": (sound(), Y[:, None], r"targets.squeeze\(1\)"),
    "numbers in a column": (
        sound(),
        Y[:, None].float(),
        "floating point: pass loss_fn, for",
    ),
    "a list": (sound(), Y.tolist(), "targets list of 64, first 0 and output"),
    "no return": (Nothing(sound()), Y, "returns nothing: end it with a return"),
    "beyond the classes": (sound(), Y + 9, "targets hold class 12"),
    "one number each": (
        nn.Sequential(nn.Linear(30, 1), nn.Flatten(0)),
        Y,
        "one number per sample, so pass loss_fn",
    ),
    "one column": (nn.Linear(30, 1), Y, "without loss_fn, targets must be class indices"),
    "frozen": (sound().requires_grad_(False), Y, "every parameter of this Sequential is frozen"),
    "cut off": (Detached(), Y, r"no gradient leads from the output float32 \(64, 4\) .* detach"),
}


@pytest.mark.parametrize("case", NO_LOSS)
def test_a_loss_that_nobody_gave_is_not_blamed(case: str) -> None:
    model, targets, said = NO_LOSS[case]
    with pytest.raises(InitBenchError, match=said) as caught:
        ib.diagnose(model, X, targets)
    assert "loss_fn does not take" not in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_logits_of_tokens_have_their_classes_last() -> None:
    tagger = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    words = torch.randint(9, (4, 6), generator=torch.Generator().manual_seed(0))
    expected = nn.functional.cross_entropy(tagger(words).flatten(0, 1), words.flatten()).item()
    assert ib.diagnose(tagger, words, words).loss == pytest.approx(expected)


def test_where_all_weights_are_too_small_the_answer_is_their_scale() -> None:
    layers = [layer for _ in range(9) for layer in (nn.Linear(40, 40), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    ib.initialize(model, "normal(std=0.02)", seed=0)
    x = torch.randn(64, 40, generator=torch.Generator().manual_seed(0))
    summary = ib.diagnose(model, x, torch.arange(64) % 40).summary
    assert "fix the scale of all weights: std 8× to 11× below the recommended one in 9 of 9" in (
        summary
    )


def test_a_weight_beyond_its_limit_is_told_its_std() -> None:
    first_layer = nn.Linear(100, 50)
    model = nn.Sequential(first_layer, nn.ReLU(), nn.Linear(50, 4))
    ib.initialize(model, "normal(std=2)", seed=0)
    x = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    first = ib.diagnose(model, x, torch.arange(64) % 4).verdicts.iloc[0]
    he, own = math.sqrt(2 / 100), first_layer.weight.std(correction=0).item()
    assert f"draw these weights with std {he:.3g}, not {own:.3g}" in first["advice"]


def test_inference_mode_judges_the_signal_and_says_why_no_gradient() -> None:
    expected = ib.diagnose(sound(), X).verdicts
    with torch.inference_mode():
        pd.testing.assert_frame_equal(ib.diagnose(sound(), X).verdicts, expected)
        with pytest.raises(InitBenchError, match=r"^torch.inference_mode is on"):
            ib.diagnose(sound(), X, Y)


def test_a_long_list_is_told_in_short() -> None:
    with pytest.raises(
        InitBenchError, match="run on list of 64, first list of 30, first"
    ) as caught:
        ib.diagnose(sound(), X.tolist(), Y)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_said(case: str) -> None:
    model, arguments, said = BAD_INPUT[case]
    with pytest.raises(InitBenchError, match=said):
        ib.diagnose(model, *arguments)


def test_the_models_own_error_is_kept_underneath() -> None:
    with pytest.raises(InitBenchError) as caught:
        ib.diagnose(sound(), torch.zeros(4, 7))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert str(caught.value.__cause__) in str(caught.value)


def test_a_failed_look_leaves_no_hook() -> None:
    model = sound()
    with pytest.raises(InitBenchError):
        ib.diagnose(model, torch.zeros(4, 7))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class OwnLinear(nn.Linear):
    """A user's kind of it."""


@pytest.mark.parametrize(
    ("layer", "shape", "sizes"),
    [
        (nn.Linear(20, 3), (20,), "64,20"),
        (OwnLinear(20, 3), (20,), "64,20"),
        (nn.Conv2d(3, 2, 3), (3, 8, 8), "64,3,8,8"),
    ],
)
def test_inputs_without_a_batch_are_refused_with_sizes_to_give(
    layer: nn.Module, shape: tuple[int, ...], sizes: str
) -> None:
    model = nn.Sequential(layer, nn.ReLU())
    with pytest.raises(InitBenchError, match=f"batch first, as in sizes {sizes} "):
        ib.diagnose(model, torch.randn(shape))
    with pytest.raises(InitBenchError, match="batch first"):  # and not that the loss fails
        ib.diagnose(model, torch.randn(shape), torch.tensor([1]))
    assert ib.diagnose(model, torch.randn(4, *shape)).healthy


@pytest.mark.parametrize("several", [False, True])
def test_a_layer_that_makes_weights_says_nothing_of_the_batch(several: bool) -> None:
    class Hypernetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code = nn.Parameter(torch.randn(3, 16) if several else torch.randn(16))
            self.make = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            weight = self.make(self.code[0] if several else self.code)
            return torch.outer(x, weight)

    assert ib.diagnose(Hypernetwork(), torch.randn(64 if several else 16)).healthy


def test_a_last_layer_is_told_a_rule_of_gain_1() -> None:
    model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 4))
    ib.initialize(model, "normal(std=4)", seed=0)
    x = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
    found = ib.diagnose(model, x, torch.arange(64) % 4).verdicts.set_index("layer")["advice"]
    assert "as he_normal does before a ReLU" in found["0"]
    assert "as lecun_normal does" in found["2"] and "he_normal" not in found["2"]
