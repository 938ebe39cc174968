"""What can learn and what cannot: the states of a gradient, told apart for every parameter."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import init_bench as ib
from init_bench.diagnosis.evidence import gradient_states
from init_bench.diagnosis.result import Diagnosis
from tests.models_to_diagnose import batch, sound

X, Y = batch()


def states(found: Diagnosis) -> dict[str, str]:
    return dict(found.weights[["parameter", "gradient_state"]].to_numpy())


def origins(found: Diagnosis) -> set[tuple[str, str]]:
    bad = found.bad[found.bad["cause"] == ""]
    return {(str(layer), str(verdict)) for layer, verdict in bad[["layer", "verdict"]].to_numpy()}


class Adapted(nn.Linear):
    """A frozen layer with two trainable factors beside it, x A B."""

    def __init__(self, down: float, up: float) -> None:
        super().__init__(30, 30)
        self.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(30, 3) * down)
        self.up = nn.Parameter(torch.randn(3, 30) * up)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x @ self.down @ self.up


def adapted(down: float, up: float) -> nn.Module:
    torch.manual_seed(0)
    layers = [part for _ in range(2) for part in (Adapted(down, up), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(30, 4))


def test_one_factor_of_zeros_learns_and_wakes_the_other() -> None:
    found = ib.diagnose(adapted(0.2, 0.0), X, Y)
    assert found.healthy and found.notes == (), str(found)
    seen = states(found)
    assert (seen["0.up"], seen["0.down"]) == (gradient_states.ARRIVES, gradient_states.LATER)
    assert seen["0.weight"] == ""  # frozen


def test_a_layer_of_zeros_has_one_finding() -> None:
    """Its weights are 0: that its gradient is 0 too, where the bias is, is no fault of its own."""
    model = nn.Sequential(
        nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)
    )
    for value in model[2].parameters():
        nn.init.zeros_(value)
    x = torch.randn(32, 10, generator=torch.Generator().manual_seed(0))
    found = ib.diagnose(model, x, torch.arange(32) % 3).verdicts
    at_layer = found[found["layer"] == "2"]
    assert at_layer["verdict"].tolist() == ["vanishing_signal"] and at_layer["cause"].tolist() == [
        ""
    ]


def test_zeros_of_a_wide_head_learn_although_a_large_step_would_fit_two_samples() -> None:
    """After it the loss is 0 and no gradient is left, which says nothing of the layers before."""
    head = nn.Linear(768, 1000)
    nn.init.zeros_(head.weight)
    model = nn.Sequential(nn.Linear(20, 768), nn.LayerNorm(768), head)
    x = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    found = ib.diagnose(model, x, torch.tensor([427, 222]))
    assert found.healthy and states(found)["0.weight"] == gradient_states.LATER


def test_two_factors_of_zeros_never_learn() -> None:
    found = ib.diagnose(adapted(0.0, 0.0), X, Y)
    assert origins(found) == {("0", "vanishing_gradient"), ("2", "vanishing_gradient")}
    seen = states(found)
    halves = {seen[f"{k}.{name}"] for k in (0, 2) for name in ("down", "up")}
    assert halves == {gradient_states.STUCK}
    assert "stays so" in found.headline


def test_two_factors_of_zeros_are_found_behind_an_output_layer_of_zeros() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Adapted(0.0, 0.0), nn.ReLU(), nn.Linear(30, 10))
    assert isinstance(model[2], nn.Linear)
    nn.init.zeros_(model[2].weight)
    found = states(ib.diagnose(model, X, Y))
    assert found["0.down"] == found["0.up"] == gradient_states.STUCK


def test_two_factors_of_zeros_are_named_where_nothing_else_is_trained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Adapted(0.0, 0.0), nn.Tanh(), nn.Linear(30, 4).requires_grad_(False))
    assert origins(ib.diagnose(model, X, Y)) == {("0", "vanishing_gradient")}


class Readout(nn.Module):
    """A token that reads the input through a branch whose scale and last weights are both 0."""

    def __init__(self) -> None:
        super().__init__()
        self.position, self.token = nn.Parameter(torch.zeros(1, 30)), nn.Parameter(torch.randn(30))
        self.first, self.mix, self.last = nn.Linear(30, 30), nn.Linear(30, 30), nn.Linear(30, 4)
        self.branch, self.scale = nn.Linear(30, 30), nn.Parameter(torch.zeros(30))
        nn.init.zeros_(self.branch.weight)
        nn.init.zeros_(self.branch.bias)

    def forward(self, x: Tensor) -> Tensor:
        read = self.first(x + self.position)
        tokens = torch.stack([self.token.expand_as(read), read], 1)
        tokens = tokens + self.scale * self.branch(tokens.mean(1, keepdim=True))
        tokens = tokens + torch.tanh(self.mix(tokens))
        logits: Tensor = self.last(tokens[:, 0])
        return logits


def test_what_two_factors_of_zeros_shut_off_follows_from_them() -> None:
    torch.manual_seed(0)
    found = ib.diagnose(Readout(), X, Y)
    assert origins(found) == {("branch", "vanishing_gradient")}, str(found)
    assert {"", "first"} <= set(found.bad.loc[found.bad["cause"] == "branch", "layer"])


def test_zeros_behind_zeros_wake_one_after_the_other() -> None:
    model = adapted(0.2, 0.0)
    nn.init.zeros_(model[4].weight)  # type: ignore[index]
    found = ib.diagnose(model, X, Y)
    assert found.healthy, str(found)
    waiting = {name for name, state in states(found).items() if state == gradient_states.LATER}
    assert waiting == {f"{k}.{name}" for k in (0, 2) for name in ("down", "up")}


def test_a_loss_that_fails_at_other_weights_does_not_cut_the_graph() -> None:
    model = adapted(0.0, 0.0)
    expected = model(X).detach()

    def strict(output: Tensor, targets: Tensor) -> Tensor:
        if not torch.allclose(output, expected):
            raise ValueError("output is out of range")
        return F.cross_entropy(output, targets)

    found = ib.diagnose(model, X, Y, strict)
    assert states(found)["0.down"] == states(found)["0.up"] == gradient_states.STUCK


class Modulated(nn.Module):
    """A branch whose shift, scale and gate are computed, and start as 0."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(30, elementwise_affine=False)
        self.branch = nn.Sequential(nn.Linear(30, 60), nn.GELU(), nn.Linear(60, 30))
        self.modulation, self.head = nn.Linear(30, 90), nn.Linear(30, 4)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(F.silu(x)).chunk(3, -1)
        x = x + gate * self.branch(self.norm(x) * (1 + scale) + shift)
        logits: Tensor = self.head(x)
        return logits


def test_a_branch_whose_gate_is_shut_learns_later() -> None:
    found = ib.diagnose(Modulated(), X, Y)
    assert found.healthy, str(found)
    assert states(found)["branch.0.weight"] == gradient_states.LATER


class Residuals(nn.Module):
    """Blocks around which the signal goes; ``cut`` says how their gradient is lost."""

    def __init__(self, cut: str) -> None:
        super().__init__()
        self.table = nn.Embedding(40, 16).requires_grad_(False)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(2))
        self.head, self.aside, self.cut = nn.Linear(16, 4), nn.Linear(16, 2), cut

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.table(ids)
        for block in self.blocks:
            if self.cut == "checkpoint":
                x = x + checkpoint(block, x, use_reentrant=True)
            elif self.cut == "no_grad":
                with torch.no_grad():
                    x = x + block(x)
            else:
                x = x + block(x)
        x = x.detach() if self.cut == "detach" else x
        return self.head(x.mean(1)), self.aside(x.mean(1))


def first_loss(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(output[0], targets)


IDS = torch.randint(40, (16, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("cut", ["checkpoint", "no_grad", "detach"])
def test_layers_that_the_graph_leaves_out_are_named(cut: str) -> None:
    found = ib.diagnose(Residuals(cut), IDS, torch.arange(16) % 4, first_loss)
    blocks = {("blocks.0.0", "vanishing_gradient"), ("blocks.1.0", "vanishing_gradient")}
    assert origins(found) == blocks
    seen = states(found)
    assert seen["blocks.0.0.weight"] == seen["blocks.1.0.bias"] == gradient_states.NONE
    assert seen["head.weight"] == gradient_states.ARRIVES
    assert seen["aside.weight"] == gradient_states.UNUSED


def test_what_the_batch_or_the_loss_makes_no_use_of_is_no_fault() -> None:
    class Routed(nn.ModuleList):
        """Two experts, of which all samples take the first; a third layer that never runs."""

        def forward(self, x: Tensor) -> Tensor:
            shares = torch.tensor([1.0, 0.0])
            mixed = [share * part(x) for share, part in zip(shares, self[:2], strict=True)]
            return torch.stack(mixed).sum(0)

    model = Routed([nn.Linear(30, 4), nn.Linear(30, 4), nn.Linear(3, 3)])
    found = ib.diagnose(model, X, Y)
    assert found.healthy and found.notes == (), str(found)
    seen = states(found)
    assert seen["1.weight"] == seen["2.weight"] == gradient_states.UNUSED


def test_a_parameter_that_an_operation_in_place_reads_is_not_written() -> None:
    class Shifted(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 4))
            self.shift = nn.Parameter(torch.randn(20))

        def forward(self, x: Tensor) -> Tensor:
            hidden = self[0](x)
            with torch.no_grad():
                hidden += self.shift
            logits: Tensor = self[2](self[1](hidden))
            return logits

    assert states(ib.diagnose(Shifted(), X, Y))["shift"] == gradient_states.NONE


def test_what_is_frozen_on_purpose_is_not_judged() -> None:
    model = Residuals("detach")
    model.blocks.requires_grad_(False)
    found = ib.diagnose(model, IDS, torch.arange(16) % 4, first_loss)
    assert found.healthy and states(found)["blocks.0.0.weight"] == ""


def test_a_network_without_any_gradient_is_not_healthy() -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 4), nn.ReLU())
    nn.init.constant_(model[2].bias, -20.0)  # type: ignore[arg-type]
    found = ib.diagnose(model, X, Y)
    assert not found.healthy
    assert set(states(found).values()) == {gradient_states.STUCK}


class Sign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sign(x)


def test_weights_in_front_of_a_step_are_not_healthy() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 20), Sign(), nn.Linear(20, 20), Sign(), nn.Linear(20, 4))
    found = ib.diagnose(model, X, Y)
    assert origins(found) == {("0", "vanishing_gradient"), ("2", "vanishing_gradient")}
    assert states(found)["0.weight"] == gradient_states.NONE


ONE = Y.float().unsqueeze(1).clamp(max=1)


@pytest.mark.parametrize(
    ("end", "targets", "loss_fn"),
    [
        ((nn.Softmax(dim=1),), ONE, F.binary_cross_entropy),
        ((nn.Softmax(dim=1), nn.Flatten(0)), ONE[:, 0], F.binary_cross_entropy),
        ((nn.Unflatten(1, (1, 1, 1)), nn.Softmax(dim=1)), ONE[..., None, None], F.mse_loss),
    ],
    ids=["softmax of one", "one number each", "one channel"],
)
def test_an_output_that_lets_nothing_back_is_told_instead_of_the_weights(
    end: tuple[nn.Module, ...], targets: Tensor, loss_fn: Callable[..., Tensor]
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 1), *end)
    found = ib.diagnose(model, X, targets, loss_fn)
    assert origins(found) == {("2", "vanishing_gradient")} and len(found.bad) == 1
    assert "nothing learns" in found.summary and "scale of all weights" not in found.summary
    assert "softmax over a single value" in found.bad["advice"].iloc[0]


def test_where_the_graph_is_cut_the_scale_of_the_weights_is_no_answer() -> None:
    class Cut(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self[2](self[1](self[0](x)).detach())
            return logits

    model = Cut(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 4))
    for weight in (model[0].weight, model[2].weight):
        nn.init.normal_(weight, std=0.02)  # type: ignore[arg-type]
    found = ib.diagnose(model, X, Y)
    assert ("0", "vanishing_gradient") in origins(found)
    assert "scale of all weights" not in found.summary


def test_a_gate_that_is_shut_for_ever_is_found() -> None:
    class Gated(nn.Module):
        def __init__(self, gate: float) -> None:
            super().__init__()
            self.gate, self.inner = nn.Parameter(torch.full((1,), gate)), nn.Linear(30, 30)
            self.head = nn.Linear(30, 4)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(x + torch.relu(self.gate) * self.inner(x))
            return logits

    assert ib.diagnose(Gated(0.5), X, Y).healthy
    assert ("inner", "vanishing_gradient") in origins(ib.diagnose(Gated(-1.0), X, Y))


def test_what_the_loss_of_a_batch_leaves_out_is_to_be_watched() -> None:
    class Detector(nn.ModuleDict):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([head(x) for head in self.values()])

    def worst_place(outputs: Tensor, classes: Tensor) -> Tensor:
        both = torch.stack([nn.functional.cross_entropy(scores, classes) for scores in outputs])
        return both.max()

    torch.manual_seed(0)
    heads = {"near": nn.Linear(30, 4), "far": nn.Linear(30, 4)}
    found = ib.diagnose(Detector(heads), X, Y, worst_place)
    assert found.healthy and states(found)["far.weight"] == gradient_states.STUCK
    watched = found.verdicts[found.verdicts["severity"] == "watch"]
    assert list(watched["layer"]) == ["far"] and list(watched["verdict"]) == ["vanishing_gradient"]


def test_a_gradient_of_a_weight_that_is_no_number_is_found() -> None:
    def penalty(score: Tensor, x: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        return score.mean() + (slope.square().sum(1).sqrt() - 1).square().mean()

    critic = nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 1))
    x = X.clone().requires_grad_()
    assert ib.diagnose(critic, x, x, penalty).healthy
    nn.init.zeros_(critic[2].weight)  # type: ignore[arg-type]
    found = ib.diagnose(critic, x, x, penalty)
    assert math.isfinite(found.loss)
    assert "nonfinite" in {verdict for _, verdict in origins(found)}
    assert states(found)["0.weight"] == gradient_states.NONFINITE


def test_a_router_that_only_scales_by_one_is_told() -> None:
    class OneOf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(30, 4, bias=False)
            self.experts = nn.ModuleList(nn.Linear(30, 4) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            shares, chosen = self.router(x).softmax(-1).topk(1)
            shares = shares / shares.sum(-1, keepdim=True)
            outputs = torch.stack([part(x) for part in self.experts], 1)
            picked: Tensor = outputs[torch.arange(len(x)), chosen[:, 0]] * shares
            return picked

    found = ib.diagnose(OneOf(), X, Y)
    assert "router.weight" in " ".join(found.notes) or ("router", "vanishing_gradient") in origins(
        found
    )


def test_looking_again_changes_nothing() -> None:
    model = adapted(0.0, 0.0)
    model.add_module("norm", nn.BatchNorm1d(4))
    before = [value.clone() for value in model.state_dict().values()]
    random = torch.get_rng_state()
    ib.diagnose(model, X, Y)
    after = model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("make", [sound, lambda: adapted(0.2, 0.2)])
def test_a_model_whose_gradients_all_arrive_runs_once(make: Callable[[], nn.Module]) -> None:
    model, runs = make(), []
    model.register_forward_hook(lambda *_: runs.append(1))
    ib.diagnose(model, X, Y)
    assert len(runs) == 1


class Forces(nn.Module):
    """An energy and its slope, taken while the model runs."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        energy = self.energy(x)
        (slope,) = torch.autograd.grad(energy.sum(), x, create_graph=self.training)
        return energy, -slope


def on_forces(output: tuple[Tensor, Tensor], targets: Any) -> Tensor:
    return output[1].square().mean()


def true_gradients(model: Forces) -> dict[str, float]:
    """Return the RMS of the loss's gradient with respect to each layer's output."""
    kept: dict[str, Tensor] = {}
    handles = [
        part.register_forward_hook(lambda _, __, z, name=name: kept.update({name: z}))
        for name, part in model.named_modules()
        if not any(part.children())
    ]
    loss = on_forces(model(X), None)
    grads = torch.autograd.grad(loss, list(kept.values()), allow_unused=True)
    for handle in handles:
        handle.remove()
    named = zip(kept, grads, strict=True)
    return {name: z.square().mean().sqrt().item() for name, z in named if z is not None}


def test_only_the_gradients_of_the_loss_are_counted() -> None:
    torch.manual_seed(0)
    model = Forces()
    profile = ib.diagnose(model, X, None, on_forces).profile.dropna(subset=["gradient"])
    told = dict(profile[["layer", "gradient"]].to_numpy())
    assert told == pytest.approx(true_gradients(model), rel=1e-4)


def test_capture_adds_no_row_of_a_derivative_inside_the_model() -> None:
    model = Forces()
    for training, rows in ((False, 0), (True, len(true_gradients(model)))):
        with ib.capture(model.train(training)) as record:
            _, forces = model(X)
            if training:
                forces.square().mean().backward()
        assert (record.table()["kind"] == "gradient").sum() == rows


def test_a_model_that_differentiates_is_diagnosed_without_a_loss() -> None:
    for training in (True, False):
        found = ib.diagnose(Forces().train(training), X)
        assert found.healthy and len(found.profile) == 3


@pytest.mark.parametrize("init", ["lsuv", "krahenbuhl"])
def test_a_model_that_differentiates_is_scaled_by_a_batch(init: str) -> None:
    model = Forces()
    ib.initialize(model, init, batch=X)
    hidden = model.energy[0](X)
    assert hidden.var(correction=0).item() == pytest.approx(1, rel=0.6 if init != "lsuv" else 1e-3)


def test_a_model_that_turns_gradients_on_itself_is_scaled_by_a_batch() -> None:
    class Field(nn.Module):
        """The gradient of an energy, at inputs of its own."""

        def __init__(self) -> None:
            super().__init__()
            layers = (nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
            self.energy = nn.Sequential(*layers)

        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                at = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self.energy(at).sum(), at, create_graph=True)
            return slope

    model = Field()
    ib.initialize(model, "lsuv", batch=X)
    for layers in (1, 3, 5):
        spread = model.energy[:layers](X).std(correction=0).item()
        assert spread == pytest.approx(1, rel=0.05), layers


def test_recommend_takes_a_model_and_a_loss_that_differentiate() -> None:
    result = ib.recommend(Forces(), X, None, on_forces, inits=["lecun_normal"], seeds=3)
    assert result.table["loss"].notna().all()


class TwoHeads(nn.Module):
    """Classes, and counts that a function keeps from falling below 0; zeros start a third head."""

    def __init__(self, counting: Callable[[Tensor], Tensor], bias: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.counting = nn.Sequential(nn.Linear(30, 40), nn.ReLU()), counting
        self.classes, self.counts, self.third = (nn.Linear(40, n) for n in (4, 2, 2))
        nn.init.constant_(self.counts.bias, bias)
        nn.init.zeros_(self.third.weight)
        nn.init.zeros_(self.third.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.body(x)
        out = {"third": self.third(z), "classes": self.classes(z)}
        return {**out, "counts": self.counting(self.counts(z))}


def classes_alone(out: dict[str, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(out["classes"], targets) + (out["third"] - 1).square().mean()


def classes_and_counts(out: dict[str, Tensor], targets: Tensor) -> Tensor:
    return classes_alone(out, targets) + (out["counts"] - 1).square().mean()


def classes_and_absent_counts(out: dict[str, Tensor], targets: Tensor) -> Tensor:
    """Leave the counts out where there are more than 3 of them: never, at the start."""
    counts = out["counts"]
    return classes_alone(out, targets) + ((counts - 3) * (counts > 3)).mean()


COUNTING: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "clamp": lambda z: z.clamp(min=0),
    "module": nn.ReLU(),
}


@pytest.mark.parametrize("counting", COUNTING)
def test_an_output_that_is_shut_for_every_sample_never_learns(counting: str) -> None:
    found = ib.diagnose(TwoHeads(COUNTING[counting], -9.0), X, Y, classes_and_counts)
    assert found.bad["layer"].tolist() == ["counts"]
    assert states(found)["counts.weight"] == gradient_states.STUCK
    assert ib.diagnose(TwoHeads(COUNTING[counting], 1.0), X, Y, classes_and_counts).healthy


@pytest.mark.parametrize("bias", [-9.0, 1.0])
@pytest.mark.parametrize("loss", [classes_alone, classes_and_absent_counts])
def test_a_head_that_the_loss_leaves_out_is_no_fault(
    loss: Callable[..., Tensor], bias: float
) -> None:
    assert ib.diagnose(TwoHeads(torch.relu, bias), X, Y, loss).healthy
