"""What is told beside the verdicts: what was not judged, and what comes not of the weights."""

import math

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.diagnosis.data_remarks import USUAL_RMS, remarks_on_inputs
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.errors import InitBenchError
from tests.models_to_diagnose import batch, sound

X, Y = batch()


def told(inputs: object, targets: Tensor | None = Y, **words: object) -> str:
    return " ".join(ib.diagnose(sound(), inputs, targets, **words).notes)  # type: ignore[arg-type]


def test_of_a_usual_batch_there_is_nothing_to_tell() -> None:
    assert told(X) == ""


@pytest.mark.parametrize("scale", [255.0, 1e-6])
def test_inputs_of_an_unusual_scale_are_told(scale: float) -> None:
    assert "normalize the inputs" in told(X * scale)


@pytest.mark.parametrize("scale", USUAL_RMS)
def test_the_scale_is_the_rms(scale: float) -> None:
    inputs, outwards = scale * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), 1.1 if scale > 1 else 0.9
    assert list(remarks_on_inputs(inputs / outwards)) == []
    assert list(remarks_on_inputs(inputs * outwards)) != []


@pytest.mark.parametrize("value", [0, 3])
def test_equal_samples_are_told_of_any_kind(value: int) -> None:
    for inputs in (torch.full((4, 3), value), {"x": torch.full((4, 3), float(value))}):
        assert ["samples" in note for note in remarks_on_inputs(inputs)] == [True]


EQUAL: dict[str, tuple[object, bool]] = {
    "images of one channel": ([torch.rand(1, 8, 8), torch.zeros(1, 8, 8)], False),
    "images that are one": ([torch.ones(3, 8, 8), torch.ones(3, 8, 8)], True),
    "beside a table": ((torch.ones(4, 3), torch.eye(5)), True),
    "beside a number for each": ((torch.ones(4, 3), torch.arange(4)), False),
}


@pytest.mark.parametrize("name", EQUAL)
def test_samples_are_compared_with_each_other(name: str) -> None:
    inputs, equal = EQUAL[name]
    assert bool(list(remarks_on_inputs(inputs))) == equal


def test_targets_of_an_unusual_scale_are_told() -> None:
    prices = 2e5 + 1e4 * X[:, :1]
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 1))
    for targets, told in ((prices, True), (prices / 2e5, False)):
        notes = ib.diagnose(model, X, targets, nn.functional.mse_loss).notes
        assert any(note.startswith("unusual target scale") for note in notes) == told


class Kept(nn.Module):
    """Layers and weights as attributes that torch does and does not register."""

    def __init__(self, **kept: object) -> None:
        super().__init__()
        self.head = nn.Linear(30, 4)
        self.aliases = [self.head, {"head": self.head.weight}]
        for name, value in kept.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x)
        self.cached = logits
        return logits


def test_weights_that_no_optimizer_gets_are_named() -> None:
    scaled = nn.Parameter(torch.ones(30)) * 0.1  # as nn.Parameter(...).cuda(): no parameter
    kept = {
        "layers": [nn.Linear(30, 30), nn.Parameter(torch.ones(2))],
        "by_name": {"a": nn.Linear(2, 2)},
        "scaled": scaled,
    }
    (note,) = ib.diagnose(Kept(**kept), X, Y).notes
    assert "layers, by_name, scaled" in note
    points = torch.ones(30, requires_grad=True)  # inputs of a loss that differentiates
    hidden = {"teacher": [nn.Linear(30, 4).requires_grad_(False)], "points": points}
    model = Kept(**hidden, own=nn.ModuleList([nn.Identity()]))
    model(X)
    assert ib.diagnose(model, X, Y).notes == ()


def test_a_model_whose_layers_are_all_in_a_list_is_told_so() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(30, 4)]

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.layers[0](x)
            return logits

    with pytest.raises(InitBenchError, match=r"nn\.ModuleList"):
        ib.diagnose(Listed(), X, Y)


def test_a_weight_frozen_alone_is_told_and_a_frozen_layer_is_not() -> None:
    model = sound()
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    first.weight.requires_grad_(False)
    assert "frozen, although the bias of the layer learns: fc1.weight;" in " ".join(
        ib.diagnose(model, X, Y).notes
    )
    assert first.bias is not None
    first.bias.requires_grad_(False)
    assert not any("frozen" in note for note in ib.diagnose(model, X, Y).notes)


def test_a_normalization_of_ones_is_as_it_should_be() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.body = nn.LayerNorm((6, 5)), sound()

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.body(self.norm(x.view(-1, 6, 5)).flatten(1))
            return logits

    found = ib.diagnose(Square(), X, Y)
    assert found.healthy and found.notes == ()


def test_samples_differ_where_one_argument_does() -> None:
    differ = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert list(remarks_on_inputs({"mask": torch.ones(4, 3), "x": differ})) == []


def test_parameters_that_are_plainly_wrong_are_named() -> None:
    model = sound()
    assert ib.diagnose(model, X, Y).notes == ()
    model[2].weight.data.fill_(0.5)  # type: ignore[index]
    said = ib.diagnose(model, X, Y).notes
    assert said == ("wrong at any scale: fc2.weight (all equal: 0.5); see .weights",)


def test_weights_within_the_limits_but_far_from_recommended_are_counted() -> None:
    model = sound()
    for layer, factor in (("fc3", 1 / 100), ("fc4", 1 / 12)):
        model.get_parameter(f"{layer}.weight").data.mul_(factor)
    found = ib.diagnose(model, X, Y)
    assert "fc4" not in set(found.bad.loc[found.bad["cause"] == "", "layer"])
    counted = [note for note in found.notes if note.startswith("2 of 6 weights")]
    assert len(counted) == 1 and "3× smaller than" in counted[0]
    model.get_parameter("fc3.weight").data.mul_(100)
    assert ib.diagnose(model, X, Y).notes == ()


def test_a_loss_that_is_no_number_is_a_loss() -> None:
    model = sound()
    model[2].weight.data[0, 0] = math.nan  # type: ignore[index]
    said = " ".join(ib.diagnose(model, X, Y).notes)
    assert "there is no loss" not in said and "fc2.weight (non-finite: 1 of" in said


@pytest.mark.parametrize(("sign", "rises"), [(1, False), (-1, True)])
def test_a_negative_loss_rises_only_where_it_does(sign: int, rises: bool) -> None:
    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        return output.square().mean() - 8

    def update(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1, maximize=sign < 0)

    said = told(X, Y, loss_fn=loss_fn, capture_at=(0, 1, 2), optimizer=update)
    assert ("the loss rose from" in said) == rises
    assert "the loss rose" not in told(X, Y, loss_fn=loss_fn)


def test_without_a_loss_gradients_are_not_judged_and_that_is_told() -> None:
    assert "gradients and the first loss are not judged" in told(X, None)


def test_what_came_with_the_training_is_not_laid_to_the_weights() -> None:
    def far(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=100.0)

    assert "smaller learning rate" in told(X, capture_at=(0, 5), optimizer=far)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_targets_that_are_no_numbers_are_refused(value: float) -> None:
    targets = torch.zeros(len(X), 4)
    targets[1, 2] = value
    with pytest.raises(InitBenchError, match=r"targets .* hold nan or ±inf \(1 of their values"):
        ib.diagnose(sound(), X, targets, nn.functional.mse_loss)


def test_a_loss_may_leave_out_targets_that_are_missing() -> None:
    targets = torch.zeros(len(X), 4)
    targets[1, 2] = math.nan

    def masked(output: Tensor, targets: Tensor) -> Tensor:
        return (output - targets)[~targets.isnan()].square().mean()

    assert math.isfinite(ib.diagnose(sound(), X, targets, masked).loss)


def classifier(*last: nn.Module) -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 10), *last)
    ib.initialize(model, "he_normal", seed=0)
    return model


def floor_told(model: nn.Module, loss_fn: Loss | None, targets: Tensor) -> bool:
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    said = " ".join(ib.diagnose(model, inputs, targets, loss_fn).notes)
    return "loss gets probabilities" in said and "cannot fall below 1.46" in said


CLASSES = torch.arange(64) % 10


@pytest.mark.parametrize(
    "loss_fn",
    [None, nn.functional.cross_entropy, nn.CrossEntropyLoss(label_smoothing=0.1)],
    ids=["ours", "function", "module"],
)
def test_a_cross_entropy_of_probabilities_is_told(loss_fn: Loss | None) -> None:
    assert floor_told(classifier(nn.Softmax(1)), loss_fn, CLASSES)
    assert not floor_told(classifier(), loss_fn, CLASSES)
    assert not floor_told(classifier(nn.LogSoftmax(1)), loss_fn, CLASSES)  # a second is harmless


@pytest.mark.parametrize(
    ("last", "loss_fn"),
    [(nn.Softmax(1), nn.functional.cross_entropy), (nn.Identity(), nn.functional.nll_loss)],
    ids=["softmax", "logits"],
)
def test_a_loss_that_gets_something_else_is_to_be_watched(last: nn.Module, loss_fn: Loss) -> None:
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    assert "watch" in ib.diagnose(classifier(last), inputs, CLASSES, loss_fn).headline


def test_probabilities_are_no_fault_of_another_loss() -> None:
    def log_likelihood(output: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.nll_loss(output.log(), targets)

    model = classifier(nn.Softmax(1))
    assert not floor_told(model, log_likelihood, CLASSES)
    one_hot = nn.functional.one_hot(CLASSES, 10).float()
    assert not floor_told(model, nn.functional.mse_loss, one_hot)
    edges = one_hot.long().to_sparse()
    assert not floor_told(model, lambda p, t: -(p.log() * t.to_dense()).sum(1).mean(), edges)


def test_classes_of_torchs_loss_are_where_it_has_them() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softmax(-1))
    images, labels = torch.randn(4, 1, 9, 52), torch.arange(4 * 7 * 50).view(4, 7, 50) % 3
    said = " ".join(ib.diagnose(model, images, labels, nn.CrossEntropyLoss()).notes)
    assert "cannot fall below 0.551" in said  # of 3 classes, not of 50 columns


def test_what_appeared_during_training_names_the_rate_first() -> None:
    def far(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=100.0)

    found = ib.diagnose(sound(), X, Y, capture_at=3, optimizer=far)
    origins = found.bad[found.bad["cause"] == ""]
    assert set(origins["step"]) == {3}
    words = "it appeared during training: try a smaller learning rate first"
    assert origins["advice"].str.startswith(words).all()
    assert "Step 3" in found.summary and "try a smaller learning rate first" in found.summary


def test_what_was_there_at_step_0_is_not_laid_to_the_rate() -> None:
    def slow(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=1e-6)

    model = sound()
    model[2].weight.data.mul_(1e-4)  # type: ignore[index]
    found = ib.diagnose(model, X, Y, capture_at=1, optimizer=slow)
    assert 1 in set(found.bad["step"]) and "learning rate first" not in str(found)


def test_one_weight_and_one_layer_are_told_in_the_singular() -> None:
    model = sound()
    model.get_parameter("fc3.weight").data.mul_(1 / 100)
    said = " ".join(ib.diagnose(model, X, Y).notes)
    assert "1 of 6 weights is more than 3× smaller than its recommended std" in said
    alone = nn.Linear(8, 4)
    inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    assert "1 layer call (normalizations" in ib.diagnose(alone, inputs).headline
    with ib.capture(alone) as record:
        alone(inputs)
    assert record.summary == "1 call of 1 layer"


def test_the_logarithm_of_uniform_probabilities_is_no_fault() -> None:
    model = nn.Sequential(nn.Linear(20, 10), nn.Softmax(-1))
    nn.init.zeros_(model.get_parameter("0.weight"))
    inputs, targets = torch.randn(64, 20), torch.randint(10, (64,))
    own = ib.diagnose(
        model, inputs, targets, loss_fn=lambda p, t: nn.functional.nll_loss(p.log(), t)
    )
    assert "probabilities" not in str(own)


@pytest.mark.parametrize("size", [0.1, 17.0, 170.0])
def test_a_loss_ends_its_sentence_with_one_full_stop(size: float) -> None:
    targets = size * torch.randn(len(X), 1, generator=torch.Generator().manual_seed(0))
    found = ib.diagnose(nn.Sequential(nn.Linear(30, 1)), X, targets, nn.functional.mse_loss)
    assert found.headline.endswith(".") and ".." not in found.headline


def test_small_weights_are_not_counted_beside_a_fault_that_is_none_of_scale() -> None:
    model = sound(init="normal(std=0.05)")
    with torch.no_grad():
        model.get_parameter("fc3.weight").copy_(model.get_parameter("fc3.weight")[:1].clone())
    found = ib.diagnose(model, X, Y)
    assert set(found.bad.loc[found.bad["cause"] == "", "verdict"]) == {"symmetric"}, str(found)
    assert "recommended std" not in " ".join(found.notes)
