"""Faults of the loss are told, with what is wrong in them; sound losses are not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import init_bench as ib
from init_bench.diagnosis.result import Diagnosis
from init_bench.errors import InitBenchError

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(64) % 10
ONE_HOT = F.one_hot(Y, 10).float()
LossFn = Callable[[Tensor, Tensor], Tensor]


class Written(nn.Module):
    """A function as the end of a model."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def by_hand(x: Tensor) -> Tensor:
    return x.exp() / x.exp().sum(-1, keepdim=True)


def without_overflow(x: Tensor) -> Tensor:
    return by_hand(x - x.max(-1, keepdim=True).values)


def classifier(*last: nn.Module) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 10), *last)
    ib.initialize(model, "he_normal", seed=0)
    return model


def told(model: nn.Module, loss_fn: LossFn | None, targets: Tensor = Y) -> Diagnosis:
    return ib.diagnose(model, X, targets, loss_fn)


@pytest.mark.parametrize("loss_fn", [F.nll_loss, nn.NLLLoss()], ids=["function", "module"])
@pytest.mark.parametrize(
    ("end", "mass"), [((), "20.1"), ((nn.Softmax(1),), "11.1")], ids=["logits", "probabilities"]
)
def test_a_likelihood_of_no_log_probabilities_is_told(
    loss_fn: LossFn, end: tuple[nn.Module, ...], mass: str
) -> None:
    (note,) = told(classifier(*end), loss_fn).notes
    assert f"exponentials sum to {mass} (median" in note and "log_softmax" in note


def test_a_likelihood_of_logits_that_are_all_0_is_told() -> None:
    model = classifier()
    nn.init.zeros_(model.get_parameter("2.weight"))
    assert "exponentials sum to 10 (median" in " ".join(told(model, F.nll_loss).notes)


def mixture(output: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(output, targets) + 0.1 * output.square().mean()


@pytest.mark.parametrize("softmax", [by_hand, without_overflow])
@pytest.mark.parametrize("loss_fn", [None, F.cross_entropy, nn.CrossEntropyLoss(), mixture])
def test_a_softmax_by_hand_before_a_cross_entropy_is_told(
    softmax: Callable[[Tensor], Tensor], loss_fn: LossFn | None
) -> None:
    (note,) = told(classifier(Written(softmax)), loss_fn).notes
    assert "loss gets probabilities" in note and "cannot fall below 1.46" in note


@pytest.mark.parametrize("softmax", [by_hand, without_overflow, nn.Softmax(-1)])
@pytest.mark.parametrize(
    "loss_fn",
    [
        F.cross_entropy,
        torch.compile(F.cross_entropy),
        lambda p, t: F.nll_loss(p.log_softmax(1), t),
        lambda p, t: -(torch.log_softmax(p, dim=-1) * F.one_hot(t, 10)).sum(1).mean(),
        lambda p, t: (p.logsumexp(1) - p.gather(1, t[:, None])[:, 0]).mean(),
    ],
    ids=["function", "compiled", "likelihood", "one-hot", "logsumexp"],
)
def test_a_softmax_inside_the_loss_is_told(
    softmax: Callable[[Tensor], Tensor], loss_fn: LossFn
) -> None:
    (note,) = told(classifier(), lambda output, t: loss_fn(softmax(output), t)).notes
    assert "loss gets probabilities" in note and "cannot fall below 1.46" in note


def test_probabilities_are_known_in_half_precision() -> None:
    model = classifier(Written(by_hand)).to(torch.bfloat16)
    found = ib.diagnose(model, X.to(torch.bfloat16), Y)
    assert "loss gets probabilities" in " ".join(found.notes)


def finding(found: Diagnosis) -> str:
    assert list(found.bad["verdict"]) == ["vanishing_gradient"], str(found)
    assert found.bad["layer"].iloc[0] == "2" and found.bad["value"].iloc[0] == 1
    return str(found.bad["meaning"].iloc[0])


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda output, _: (0 * output).sum(),
        lambda output, _: output.clamp(3, 3).mean(),
        lambda output, _: F.cross_entropy(output[:, :1], torch.zeros(64, dtype=torch.long)),
        lambda output, _: F.cross_entropy(output, torch.full((64,), -100), reduction="sum"),
    ],
    ids=["times 0", "shut clamp", "one class", "targets that are ignored"],
)
def test_a_loss_that_makes_no_use_of_the_output_is_told(loss_fn: LossFn) -> None:
    found = told(classifier(), loss_fn)
    assert finding(found) == "the loss does not depend on the output of the model"


@pytest.mark.parametrize("step", [torch.round, torch.sign, lambda x: x.clamp(50, 60)])
def test_a_loss_that_is_flat_in_the_output_is_told(step: Callable[[Tensor], Tensor]) -> None:
    found = told(classifier(), lambda output, _: (step(output) - 1).square().mean())
    assert finding(found) == "the loss depends on the output of the model but has no gradient there"


@pytest.mark.parametrize(
    ("share", "meaning"), [(0.0, "does not depend on the output"), (1.0, "has no gradient there")]
)
def test_a_loss_that_trains_nothing_but_its_penalty_is_told(share: float, meaning: str) -> None:
    model = classifier()

    def decay(output: Tensor, targets: Tensor) -> Tensor:
        penalty = sum(parameter.square().sum() for parameter in model.parameters())
        return share * F.cross_entropy(output.detach(), targets) + 1e-3 * penalty

    assert meaning in finding(told(model, decay))


def without_graph(output: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(output, targets)


USELESS: dict[str, tuple[LossFn, str]] = {
    "detach": (lambda output, t: F.cross_entropy(output.detach(), t), "cuts it off by detach;"),
    "data": (lambda output, t: F.cross_entropy(output.data, t), "cuts it off by data;"),
    "item": (lambda output, _: torch.tensor(output.sum().item()), "cuts it off by item;"),
    "no_grad": (without_graph, "cuts it off by no_grad;"),
    "argmax": (lambda output, t: (output.argmax(1) != t).float().mean(), "off by argmax;"),
    "constant": (lambda *_: torch.tensor(1.0), "has the same value for other outputs"),
}


@pytest.mark.parametrize("name", USELESS)
@pytest.mark.parametrize("leaf", [False, True])
def test_a_loss_without_a_way_back_says_what_cuts_it_off(name: str, leaf: bool) -> None:
    loss_fn, words = USELESS[name]
    with pytest.raises(InitBenchError, match=words):
        told(classifier(), lambda output, t: loss_fn(output, t).requires_grad_(leaf))


def focal(output: Tensor, targets: Tensor) -> Tensor:
    log_p = output.log_softmax(1)
    return F.nll_loss((1 - log_p.exp()).square() * log_p, targets)


def padded(output: Tensor, targets: Tensor) -> Tensor:
    log_p, kept = output.log_softmax(1), torch.arange(64) < 48
    return F.nll_loss(log_p * kept[:, None], targets.where(kept, torch.tensor(-100)))


def contrastive(output: Tensor, targets: Tensor) -> Tensor:
    unit = F.normalize(output, dim=1)
    return F.cross_entropy(unit[:32] @ unit[32:].T / 0.1, torch.arange(32))


def triplet(output: Tensor, targets: Tensor) -> Tensor:
    return F.triplet_margin_loss(output[:20], output[20:40], output[40:60])


def of_each(output: Tensor, targets: Tensor) -> Tensor:
    per_sample: Callable[..., Tensor] = torch.func.vmap(F.cross_entropy)
    return per_sample(output, targets).mean()


SOUND: dict[str, tuple[tuple[nn.Module, ...], LossFn, Tensor]] = {
    "a mixture": ((), mixture, Y),
    "label smoothing": ((), nn.CrossEntropyLoss(label_smoothing=0.1), Y),
    "targets as probabilities": ((), F.cross_entropy, ONE_HOT * 0.9 + 0.01),
    "log-probabilities": ((nn.LogSoftmax(1),), F.nll_loss, Y),
    "log-probabilities twice": ((nn.LogSoftmax(1),), F.cross_entropy, Y),
    "the logarithm of a softmax": ((nn.Softmax(1),), lambda p, t: F.nll_loss(p.log(), t), Y),
    "focal": ((), focal, Y),
    "padding": ((), padded, Y),
    "divergence": ((nn.LogSoftmax(1),), nn.KLDivLoss(reduction="batchmean"), ONE_HOT),
    "logits of one class each": ((), F.binary_cross_entropy_with_logits, ONE_HOT),
    "positive values": ((nn.Softplus(),), F.mse_loss, X[:, :1].abs().expand(64, 10)),
    "probabilities as values": ((nn.Softmax(1),), F.mse_loss, ONE_HOT),
    "contrastive": ((), contrastive, Y),
    "triplet": ((), triplet, Y),
    "sample by sample": ((), of_each, Y),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_loss_has_no_finding(name: str) -> None:
    end, loss_fn, targets = SOUND[name]
    found = told(classifier(*end), loss_fn, targets)
    assert found.healthy and found.notes == (), str(found)


def test_a_loss_that_runs_the_model_itself_is_sound() -> None:
    model = classifier()
    found = told(model, lambda _, t: F.cross_entropy(model(X), t))
    assert found.healthy and found.notes == (), str(found)


def test_a_loss_of_the_slope_alone_is_sound() -> None:
    model, inputs = classifier(), X.clone().requires_grad_()

    def steepness(output: Tensor, targets: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(output.sum(), inputs, create_graph=True)
        return (slope.square().sum(1) - 1).square().mean()

    found = ib.diagnose(model, inputs, Y, steepness)
    assert found.healthy and not (found.verdicts["severity"] == "bad").any(), str(found)


def test_a_loss_that_the_model_kept_is_sound() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            self.kept = F.cross_entropy(logits, Y)
            return logits

    model = Own(*classifier())
    assert told(model, lambda *_: model.kept).healthy
