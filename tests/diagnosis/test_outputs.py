"""Outputs: the first loss beside chance, last layers that are meant as they are, undone scales."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import init_bench as ib
from init_bench.diagnosis.evidence.chance import FAR, loss_of_zeros
from init_bench.diagnosis.result import Diagnosis
from tests.models_to_diagnose import batch, sound

X, Y = batch()


def watched(found: Diagnosis) -> set[tuple[str, str]]:
    rows = found.verdicts[found.verdicts["severity"] == "watch"]
    return {(str(layer), str(verdict)) for layer, verdict in rows[["layer", "verdict"]].to_numpy()}


class Tagger(nn.Module):
    """A token for each token, by the same table; ``wrap`` puts the logits into what it returns."""

    def __init__(self, std: float, wrap: Callable[[Tensor], Any] = lambda z: z) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.norm = nn.Embedding(300, 48), nn.LayerNorm(48)
        self.inner, self.head = nn.Linear(48, 48), nn.Linear(48, 300, bias=False)
        self.head.weight = self.table.weight
        nn.init.normal_(self.head.weight, std=std)
        self.wrap = wrap

    def forward(self, ids: Tensor) -> Any:
        x = self.table(ids)
        return self.wrap(self.head(self.norm(x + torch.tanh(self.inner(x)))))


IDS = torch.randint(300, (8, 12), generator=torch.Generator().manual_seed(0))


class Answer(NamedTuple):
    logits: Tensor
    more: int


WRAPS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
    "tokens apart": (lambda z: z, lambda out: out.flatten(0, 1)),
    "tokens together": (lambda z: z.flatten(0, 1), lambda out: out),
    "in a dictionary": (lambda z: {"logits": [z]}, lambda out: out["logits"][0].flatten(0, 1)),
    "in a named tuple": (lambda z: Answer(z, 1), lambda out: out.logits.flatten(0, 1)),
    "as log-probabilities": (lambda z: z.log_softmax(-1), lambda out: out.flatten(0, 1)),
}


@pytest.mark.parametrize("name", WRAPS)
def test_a_loss_far_above_chance_is_told_at_the_head(name: str) -> None:
    wrap, logits = WRAPS[name]

    def loss_fn(output: Any, targets: Tensor) -> Tensor:
        loss = F.nll_loss if "log" in name else F.cross_entropy
        return loss(logits(output), targets.flatten())

    found = ib.diagnose(Tagger(1.5, wrap), IDS, IDS.flip(0), loss_fn)
    assert found.loss > FAR * math.log(300)
    assert watched(found) == {("head", "exploding_signal")}, str(found)
    assert [f"constant outputs ({math.log(300):#.3g}); head" in note for note in found.notes] == [
        True
    ]
    quiet = ib.diagnose(Tagger(0.02, wrap), IDS, IDS.flip(0), loss_fn)
    assert quiet.healthy and quiet.notes == () and not watched(quiet), str(quiet)


def test_a_model_that_returns_its_loss_is_compared_with_its_own_chance() -> None:
    class WithLoss(nn.Module):
        def __init__(self, std: float) -> None:
            super().__init__()
            self.inner = Tagger(std)

        def forward(self, ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.inner(ids).flatten(0, 1)
            return {"loss": F.cross_entropy(logits, labels.flatten()), "logits": logits}

    for std, far in ((1.5, True), (0.02, False)):
        inputs = {"ids": IDS, "labels": IDS.flip(0)}
        found = ib.diagnose(WithLoss(std), inputs, None, lambda out, _: out["loss"])
        assert (("inner.head", "exploding_signal") in watched(found)) == far


class Density(nn.Module):
    """The mean and the log of the standard deviation of a target."""

    def __init__(self, log_std: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(30, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.log_std, self.mean = nn.Linear(48, 1), nn.Linear(48, 1)
        nn.init.constant_(self.log_std.bias, log_std)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.body(x)
        return self.mean(z), self.log_std(z)


def likelihood(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    mean, log_std = output
    error = (targets[:, None] - mean) / log_std.exp()
    return (error.square() / 2 + log_std).mean()


def squared_error_of_mean(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    return (output[0] - 1e-4 * targets[:, None]).square().mean()


def test_a_bias_that_alone_takes_the_first_loss_orders_of_magnitude_above_chance_is_bad() -> None:
    assert ib.diagnose(Density(0.0), X, Y.float(), likelihood).healthy
    found = ib.diagnose(Density(-8.0), X, Y.float(), likelihood)
    (fault,) = found.bad.to_dict("records")
    assert (fault["layer"], fault["verdict"]) == ("log_std", "exploding_signal"), str(found)
    assert "log_std.bias" in fault["advice"] and "constant outputs" in str(found.notes)


def test_a_first_loss_orders_of_magnitude_above_chance_is_bad_at_the_last_layer() -> None:
    found = ib.diagnose(Density(0.0), X, Y.float(), squared_error_of_mean)
    (fault,) = found.bad.to_dict("records")
    assert (fault["layer"], fault["verdict"]) == ("mean", "exploding_signal"), str(found)
    assert "scale the targets" in fault["advice"]


class Flow(nn.Module):
    """Four steps, each of which shifts and scales one half by what a network makes of the other."""

    def __init__(self, last: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        parts = [nn.Sequential(nn.Linear(15, 48), nn.ReLU(), nn.Linear(48, 30)) for _ in range(4)]
        self.parts = nn.ModuleList(parts)
        for part in parts:
            nn.init.normal_(part[2].weight, std=last)  # type: ignore[arg-type]
            nn.init.zeros_(part[2].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_volume = torch.zeros(len(x))
        for part in self.parts:
            kept, moved = x.chunk(2, 1)
            log_scale, shift = part(kept).chunk(2, 1)
            x = torch.cat([moved * torch.tanh(log_scale).exp() + shift, kept], 1)
            log_volume = log_volume + torch.tanh(log_scale).sum(1)
        return x, log_volume


def negative_log_density(output: tuple[Tensor, Tensor], _: object) -> Tensor:
    z, log_volume = output
    return (z.square().sum(1) / 2 + 15 * math.log(2 * math.pi) - log_volume).mean()


@pytest.mark.parametrize(
    ("last", "size", "far"), [(0.5, 1, True), (0.01, 1, False), (0, 30, False)]
)
def test_the_first_loss_of_a_flow_is_compared_with_that_of_steps_that_change_nothing(
    last: float, size: float, *, far: bool
) -> None:
    found = ib.diagnose(Flow(last), X * size, None, negative_log_density)
    assert ("exploding_signal" in {verdict for _, verdict in watched(found)}) == far, str(found)


def negative(output: Tensor, targets: object) -> Tensor:
    return -output.square().mean()


@pytest.mark.parametrize("loss_fn", [negative, lambda out, _: out.square().mean()])
def test_where_zeros_cost_nothing_no_chance_is_told(loss_fn: Callable[..., Tensor]) -> None:
    found = ib.diagnose(sound(), X, Y, loss_fn)
    assert found.healthy and found.notes == ()


def test_the_loss_of_zeros_is_nan_where_the_loss_takes_none() -> None:
    def picky(output: Tensor, targets: object) -> Tensor:
        assert output.any()
        return output.sum()

    assert math.isnan(loss_of_zeros(picky, torch.ones(2, 3), None))


class Actor(nn.Module):
    """Two heads on a body, as of an actor and its critic."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(30, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.mean, self.log_std, self.value = nn.Linear(64, 3), nn.Linear(64, 3), nn.Linear(64, 1)
        ib.initialize(self, "orthogonal")
        for head in (self.mean, self.log_std):
            nn.init.orthogonal_(head.weight, gain=gain)
            nn.init.constant_(head.bias, -0.3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.body(x)
        return self.mean(z), self.log_std(z), self.value(z)


def surrogate(output: tuple[Tensor, Tensor, Tensor], targets: Tensor) -> Tensor:
    mean, log_std, value = output
    error = (targets[:, None] / 3 - mean) / log_std.exp()
    return (error.square() / 2 + log_std).mean() + (value[:, 0] - targets / 3).square().mean()


@pytest.mark.parametrize("gain", [0.01, 0.0])
@pytest.mark.parametrize("with_loss", [True, False])
def test_small_and_empty_heads_are_meant(gain: float, with_loss: bool) -> None:
    words = (Y, surrogate) if with_loss else ()
    found = ib.diagnose(Actor(gain), X, *words)
    assert found.healthy and not watched(found), str(found)


class Heatmaps(nn.Module):
    """A detector's heads; that of the classes starts at a small prior, the box follows it."""

    def __init__(self, prior: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.classes, self.act, self.box = nn.Conv2d(16, 5, 1), nn.Sigmoid(), nn.Conv2d(16, 4, 1)
        nn.init.constant_(self.classes.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.body(x)
        return {"heat": self.act(self.classes(z)), "box": self.box(z)}


IMAGES = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_a_prior_is_meant_also_where_another_head_comes_after_it() -> None:
    def loss_fn(output: dict[str, Tensor], targets: Tensor) -> Tensor:
        heat = output["heat"].clamp(1e-4, 1 - 1e-4)
        return F.binary_cross_entropy(heat, targets) + output["box"].abs().mean()

    for prior in (0.1, 0.005):
        found = ib.diagnose(Heatmaps(prior), IMAGES, torch.zeros(4, 5, 12, 12), loss_fn)
        assert found.healthy and not watched(found), str(found)


def test_a_sigmoid_at_a_prior_inside_the_network_is_a_fault() -> None:
    model = nn.Sequential(nn.Linear(30, 40), nn.Sigmoid(), nn.Linear(40, 4))
    nn.init.constant_(model[0].bias, -7.0)  # type: ignore[arg-type]
    assert not ib.diagnose(model, X, Y).healthy


def test_an_empty_head_behind_a_module_that_squashes_is_no_fault() -> None:
    model = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 1), nn.Sigmoid())
    ib.initialize(model, "he_normal")
    nn.init.zeros_(model[2].weight)  # type: ignore[arg-type]
    target = (Y > 1).float()[:, None]
    assert ib.diagnose(model, X, target, F.binary_cross_entropy).healthy


def test_alpha_dropout_is_no_fault() -> None:
    layers = [part for _ in range(4) for part in (nn.Linear(30, 30), nn.SELU(), nn.AlphaDropout())]
    model = nn.Sequential(*layers, nn.Linear(30, 4))
    ib.initialize(model, "lecun_normal")
    found = ib.diagnose(model, X, Y)
    assert found.healthy and not watched(found), str(found)


def normalized() -> nn.Sequential:
    torch.manual_seed(0)
    units = [(nn.Linear(30, 30), nn.BatchNorm1d(30), nn.ReLU()) for _ in range(4)]
    model = nn.Sequential(*(part for unit in units for part in unit), nn.Linear(30, 4))
    ib.initialize(model, "he_normal")
    return model


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.01, "vanishing_signal"), (30.0, "exploding_signal")]
)
def test_a_scale_that_a_normalization_undoes_is_to_be_watched(factor: float, verdict: str) -> None:
    model = normalized()
    with torch.no_grad():
        model[3].weight.mul_(factor)  # type: ignore[operator]
    found = ib.diagnose(model, X, Y)
    assert found.healthy and watched(found) == {("3", verdict)}, str(found)


def test_a_scale_that_meets_the_next_layer_is_bad() -> None:
    model = normalized()
    with torch.no_grad():
        model[9].weight.mul_(1e-7)  # type: ignore[operator] # far below the eps of the norm
    assert ("9", "vanishing_signal") in {
        (str(a), str(b)) for a, b in ib.diagnose(model, X, Y).bad[["layer", "verdict"]].to_numpy()
    }


class Bypassed(nn.Module):
    """x + W₂ tanh(W₁ norm(x))."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm, self.first, self.second = norm, nn.Linear(30, 30), nn.Linear(30, 30)

    def forward(self, x: Tensor) -> Tensor:
        bypassed: Tensor = x + self.second(torch.tanh(self.first(self.norm(x))))
        return bypassed


@pytest.mark.parametrize(
    ("norm", "scale", "layer", "factor", "severity"),
    [
        (nn.Identity(), 1.0, "1.first", 0.01, "watch"),
        (nn.LayerNorm(30), 0.02, "1.first", 0.01, "watch"),
        (nn.Identity(), 1.0, "1.first", 0.0, "bad"),
        (nn.Identity(), 1.0, "0", 0.01, "bad"),
    ],
    ids=["inside", "behind a normalization", "zeros", "in front"],
)
def test_small_weights_inside_a_branch_are_to_be_watched_zeros_are_bad(
    norm: nn.Module, scale: float, layer: str, factor: float, severity: str
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 30, bias=False), Bypassed(norm), nn.Linear(30, 4))
    with torch.no_grad():
        model.get_submodule(layer).weight.mul_(factor)  # type: ignore[operator]
    found = ib.diagnose(model, scale * X, Y).verdicts
    said = found[found["severity"] != "ok"][["layer", "verdict", "severity"]].to_numpy().tolist()
    assert said[0] == [layer, "vanishing_signal", severity], said


@pytest.mark.parametrize(("end", "kept"), [(1.0, True), (0.0, False)])
def test_small_weights_may_stay_in_a_branch_unless_it_ends_in_zeros(end: float, kept: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 30, bias=False), Bypassed(nn.Identity()), nn.Linear(30, 4))
    with torch.no_grad():
        for layer, factor in (("1.first", 0.01), ("1.second", end)):
            model.get_submodule(layer).weight.mul_(factor)  # type: ignore[operator]
    found = ib.diagnose(model, X, Y).verdicts.set_index("layer")
    assert str(found.loc["1.first", "advice"]).startswith("nothing has to change") == kept


class Decoder(nn.Module):
    """Two blocks of attention, with the table as last layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        block = nn.TransformerEncoderLayer(
            32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 2, nn.LayerNorm(32), enable_nested_tensor=False)
        self.table, self.place = nn.Embedding(300, 32), nn.Embedding(12, 32)
        for table in (self.table, self.place):
            nn.init.normal_(table.weight, std=0.02)
        self.head = nn.Linear(32, 300, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids) + self.place(torch.arange(ids.shape[1]))
        logits: Tensor = self.head(self.blocks(x))
        return logits


def test_a_sound_decoder_with_a_tied_head_is_healthy() -> None:
    def loss_fn(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    found = ib.diagnose(Decoder(), IDS, IDS.roll(-1, 1), loss_fn)
    assert found.healthy and not watched(found), str(found)
    assert all(note.startswith("equal values at the start") for note in found.notes)


def test_rows_of_outputs_are_marked() -> None:
    profile = ib.diagnose(Heatmaps(0.1), IMAGES).profile
    marked = pd.Series(profile["is_output"].to_numpy(), profile["layer"])
    assert marked[marked].index.tolist() == ["classes", "act", "box"]


@pytest.mark.parametrize("factor", [1e-2, 1e-5, 1e-12, 0.0])
def test_a_last_layer_that_starts_small_is_a_choice_as_one_of_zeros_is(factor: float) -> None:
    # On 4096 images of MNIST five networks (MLPs of 3 and 6 layers, ReLU and tanh, a convolutional
    # and a residual one) reach the same loss from a factor of 1e-12 as from 0: after 300 steps of
    # SGD at the best of three rates 0.108, 0.161, 0.167, 0.120 and 0.120 from both.
    model = sound()
    with torch.no_grad():
        for parameter in list(model.parameters())[-2:]:
            parameter.mul_(factor)
    assert ib.diagnose(model, X, Y).healthy


def test_an_output_that_vanished_before_a_small_last_layer_is_found() -> None:
    model = sound("sigmoid", "normal(std=0.01)")
    with torch.no_grad():
        list(model.parameters())[-2].mul_(0.1)
    said = ib.diagnose(model, X, Y).bad
    assert "the output is almost the same for all samples" in set(said["meaning"])


def test_a_first_loss_of_probabilities_is_compared_with_that_of_equal_ones() -> None:
    """Zeros as probabilities are certain of one class: a binary cross-entropy of about 50."""
    x = torch.randn(256, 10, generator=torch.Generator().manual_seed(0))
    layers = [nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()]
    model, targets = nn.Sequential(*layers), (x[:, :1] > 0).float()
    ib.initialize(model, "he_normal", seed=0)
    assert watched(ib.diagnose(model, x, targets, F.binary_cross_entropy)) == set()
    nn.init.normal_(layers[2].weight, std=1.3)  # type: ignore[arg-type]
    found = ib.diagnose(model, x, targets, F.binary_cross_entropy)
    assert ("2", "exploding_signal") in watched(found), str(found)
