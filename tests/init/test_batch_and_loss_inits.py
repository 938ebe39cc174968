"""The laws that define the initializers by a batch and by a loss."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import Report, initialize
from init_bench.init.batch_inits.affine_layers import affine_layers
from init_bench.init.batch_inits.rates_of_change import rates_of_change
from init_bench.init.loss_inits.metainit import gradient_quotient
from init_bench.init.whole_model.network_editor import Network
from tests.init import networks

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Bilinear)


class Convolutional(nn.Module):
    """Grouped and transposed convolutions, a residual sum, in-place ReLU, norm and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4, padding=1)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2, groups=2)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.norm(self.stem(x)), inplace=True)
        x = x + self.grouped(x)
        x = self.up(torch.tanh(x)).flatten(2).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        out: Tensor = self.head(x.mean(1))
        return out


def images(seed: int = 0) -> Tensor:
    return torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def outputs(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            found[name] = (output[0] if isinstance(output, tuple) else output).detach().clone()

        return keep

    wanted = (*LAYERS, nn.MultiheadAttention)
    named = [(n, m) for n, m in model.named_modules() if isinstance(m, wanted)]
    handles = [module.register_forward_hook(hook(name)) for name, module in named]
    with torch.no_grad():
        model(batch)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("start", ["torch.orthogonal", "he_normal", "normal(std=5)"])
@pytest.mark.parametrize("training", [True, False])
def test_lsuv_gives_every_output_variance_one(start: str, training: bool) -> None:
    model = Convolutional().train(training)
    initialize(model, f"lsuv(start={start!r})", batch=images())
    found = outputs(model, images())
    assert set(found) == {"stem", "grouped", "up", "attention", "head"}
    for name, output in found.items():
        assert output.var(correction=0).item() == pytest.approx(1, abs=1e-4), name


@given(depth=st.integers(2, 12), width=st.just(30), scale=st.floats(1e-3, 1e3))
@example(depth=64, width=64, scale=1.0)
@example(depth=2, width=1024, scale=1.0)
def test_lsuv_levels_any_size_and_scale_of_input(depth: int, width: int, scale: float) -> None:
    model, x = networks.plain(depth, width).eval(), networks.batch()[0] * scale
    initialize(model, "lsuv", batch=x)
    variances = [v.var(correction=0).item() for v in outputs(model, x).values()]
    assert variances == pytest.approx([1.0] * len(variances), abs=1e-3)


def test_lsuv_keeps_the_directions_of_an_orthonormal_start() -> None:
    model = networks.plain()
    initialize(model, "lsuv", batch=networks.batch()[0])
    weight = model.get_parameter("3.weight").detach()
    gram = weight @ weight.T
    assert torch.allclose(gram / gram[0, 0], torch.eye(30), atol=1e-4)


def test_lsuv_reckons_with_a_bias_that_does_not_scale() -> None:
    model, x = networks.plain().eval(), networks.batch()[0]
    override = {"*.bias": "uniform(a=-0.5, b=0.5)"}
    initialize(model, "lsuv", batch=x, overrides=override)
    variances = [v.var(correction=0).item() for v in outputs(model, x).values()]
    assert variances == pytest.approx([1.0] * len(variances), abs=0.011)


def test_what_lsuv_cannot_scale_is_told() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.unused = nn.LSTM(5, 6, batch_first=True), nn.Linear(2, 2)
            self.one = nn.Linear(6, 6)
            self.two = nn.Linear(6, 6)
            self.two.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.two(self.one(self.lstm(x)[0]))
            return out

    x = torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(0))
    notes = notes_of(initialize(Recurrent(), "lsuv", batch=x))
    assert "no layer that is affine in it" in notes["lstm.weight_ih_l0"]
    assert "used by more than one layer" in notes["one.weight"]
    assert "the batch does not reach it" in notes["unused.weight"]


def test_a_parametrized_layer_is_scaled_where_that_lasts() -> None:
    model = nn.Sequential(weight_norm(nn.Linear(5, 9)), spectral_norm(nn.Linear(9, 8)))
    x = networks.batch()[0]
    notes = notes_of(initialize(model, "lsuv", batch=x))
    assert outputs(model, x)["0"].var(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert "its parametrization sets its scale" in notes["1.weight"]


def notes_of(report: Report) -> dict[str, str]:
    return {row.parameter: row.note for row in report.rows}


@pytest.mark.parametrize("training", [True, False])
def test_krahenbuhl_gives_every_unit_mean_zero_and_variance_one(training: bool) -> None:
    model = Convolutional().train(training)
    initialize(model, "krahenbuhl(between_layers=False)", batch=images())
    for name, output in outputs(model, images()).items():
        channel = 1 if output.dim() == 4 else -1
        units = output.movedim(channel, 0).flatten(1)
        assert torch.allclose(units.std(1, correction=0), torch.ones(len(units)), atol=1e-3), name
        if name != "stem":  # which has no bias
            assert units.mean(1).abs().max().item() < 1e-3, name


def test_krahenbuhl_leaves_a_constant_unit_its_scale() -> None:
    model, x = nn.Linear(3, 4), networks.batch()[0][:, :3]
    initialize(model, "krahenbuhl(start='zeros')", batch=x)
    assert not model.weight.any() and not model.bias.any()


def relu_net(depth: int, width: int = 12) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(5, width), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def conv_net() -> nn.Sequential:
    inside = (nn.Conv2d(8, 6, 2, groups=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), *inside, nn.Linear(6, 4))


def rates(model: nn.Module, batch: Tensor, seed: int = 0) -> list[float]:
    network = Network(model, batch=batch, seed=seed)
    return list(rates_of_change(network, affine_layers(network)).values())


def test_the_rate_of_change_is_that_of_a_random_linear_loss() -> None:
    """Of z = Wx the gradient is the sum of η xᵀ; η is what the look's stream draws."""
    model, x = nn.Linear(5, 3, bias=False).requires_grad_(False), networks.batch()[0]
    eta = torch.randn(64, 3, generator=stream(0, "looking"))
    expected = ((eta.T @ x).square().mean() / model.weight.square().mean()).sqrt()
    assert rates(model, x) == pytest.approx([expected.item()], rel=1e-5)
    assert not model.weight.requires_grad


@given(depth=st.integers(2, 7), scale=st.floats(1e-3, 1e3))
def test_krahenbuhl_levels_the_rates_of_change_of_any_depth(depth: int, scale: float) -> None:
    check_level(relu_net(depth), networks.batch()[0] * scale)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), [(2, 64), (2, 1024), (8, 256)])
def test_krahenbuhl_levels_the_rates_at_the_ends_of_the_widths(depth: int, width: int) -> None:
    check_level(relu_net(depth, width), networks.batch(256)[0])


@pytest.mark.slow
def test_krahenbuhl_keeps_the_most_even_rates_where_level_ones_need_more_than_float32() -> None:
    model, x = relu_net(64, 64), networks.batch(256)[0]
    initialize(model, "krahenbuhl(between_layers=False)", batch=x)
    before = rates(model, x)
    initialize(model, "krahenbuhl", batch=x)
    after = rates(model, x)
    assert len(after) == 64
    assert max(after) / min(after) < max(before) / min(before)


def check_level(model: nn.Sequential, x: Tensor) -> None:
    report = initialize(model, "krahenbuhl", batch=x)
    found = rates(model, x)
    assert len(found) == len(model) // 2 + 1
    assert max(found) / min(found) < 1.01 / 0.99
    assert f"→ {found[0]:.4g}" in report.rows[0].note
    for name, output in outputs(model, x).items():
        std = output.std(0, correction=0)
        assert output.mean(0).abs().max() < 1e-3 * std.max(), name
        assert std.max() / std.min() == pytest.approx(1, abs=1e-3), name
    assert std.mean().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("make", [conv_net, lambda: tanh_net(2)], ids=["convolutions", "tanh"])
def test_krahenbuhl_levels_what_is_no_plain_relu_network(make: Any) -> None:
    model = make()
    x = images() if isinstance(model[0], nn.Conv2d) else networks.batch()[0]
    initialize(model, "krahenbuhl(between_layers=False)", batch=x)
    before = rates(model, x)
    initialize(model, "krahenbuhl", batch=x)
    after = rates(model, x)
    assert max(before) / min(before) > 1.5
    assert max(after) / min(after) < 1.03


def test_krahenbuhl_levels_the_rates_of_other_random_losses_too() -> None:
    """Its own loss is one draw more of those below: level there, it lies among them here."""
    model, x = relu_net(6), networks.batch(2000)[0]

    def from_level() -> Tensor:
        found = []
        for seed in range(40):
            log = torch.tensor(rates(model, x, seed + 1)).log()
            found.append(log - log.mean())
        drawn = torch.stack(found)
        return (drawn.mean(0) / drawn.std(0)).abs()

    initialize(model, "krahenbuhl", batch=x)
    assert from_level().max() < 5
    initialize(model, "krahenbuhl(between_layers=False)", batch=x)
    assert from_level().max() > 5, "a test that sees no difference shows nothing"


def test_krahenbuhl_levels_whatever_tensors_the_output_holds() -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.left, self.right = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 2)
            self.silent = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> dict[str, Any]:
            h = torch.relu(self.stem(x))
            return {"a": [self.left(h)], "b": (self.right(h),), "c": self.silent(h).argmax(1)}

    model, x = Many(), networks.batch()[0]
    notes = notes_of(initialize(model, "krahenbuhl", batch=x))
    found = rates(model, x)
    assert len(found) == 3 and max(found) / min(found) < 1.03
    assert "not leveled: no gradient reaches it" in notes["silent.weight"]


def test_krahenbuhl_levels_frozen_layers_and_leaves_overridden_ones() -> None:
    model, x = relu_net(4), networks.batch()[0]
    model[0].requires_grad_(False)
    initialize(model, "krahenbuhl", batch=x, overrides={"2": "normal(std=3)"})
    found = rates(model, x)
    rest = [found[0], *found[2:]]
    assert max(rest) / min(rest) < 1.01 / 0.99 < max(found) / min(found)
    assert not any(p.requires_grad for p in model[0].parameters())


def test_krahenbuhl_reports_what_a_model_refuses_while_rates_are_leveled() -> None:
    class Tiring(nn.Sequential):
        calls = 0

        def forward(self, x: Tensor) -> Any:
            self.calls += isinstance(x, Tensor)  # and not when it is traced
            if self.calls > 2:  # the first set the units, the second measured the rates
                raise RuntimeError("takes a batch twice")
            return super().forward(x)  # type: ignore[no-untyped-call]

    model = Tiring(*relu_net(4))
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match="takes a batch twice"):
        initialize(model, "krahenbuhl", batch=networks.batch()[0])
    assert all(map(torch.equal, before, model.parameters()))


def test_krahenbuhl_has_nothing_to_level_where_every_layer_is_overridden() -> None:
    model, expected = relu_net(3), relu_net(3)
    initialize(model, "krahenbuhl", batch=networks.batch()[0], overrides={"*": "ones"})
    initialize(expected, "ones")
    pairs = zip(model.parameters(), expected.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("batch", [images(), (images(), torch.ones(16)), {"x": images()}])
def test_a_batch_comes_alone_with_targets_or_by_keyword(batch: Any) -> None:
    model, other = Convolutional(), Convolutional()
    initialize(model, "lsuv", batch=batch)
    initialize(other, "lsuv", batch=images())
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def quotient(model: nn.Module) -> float:
    x, y = networks.batch()
    loss = nn.functional.cross_entropy(model(x), y)
    return gradient_quotient(loss, list(model.parameters())).item()


def tanh_net(depth: int = 4, width: int = 12) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(5, width), nn.Tanh()]
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 3))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["normal(std=1)", "he_normal"])
def test_metainit_lowers_the_gradient_quotient(start: str) -> None:
    before, after = tanh_net(), tanh_net()
    initialize(before, start)
    spec = f"metainit(start={start!r}, steps=30)"
    loss = nn.functional.cross_entropy
    report = initialize(after, spec, batch=networks.batch(), loss_fn=loss)
    assert quotient(after) < quotient(before)
    assert f"{quotient(before):.4g} → {quotient(after):.4g}" in report.rows[0].note


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metainit", "gradinit"])
@pytest.mark.parametrize(("depth", "width"), [(62, 64), (2, 1024)])
def test_descents_keep_directions_at_the_ends_of_depth_and_width(
    depth: int, width: int, name: str
) -> None:
    given: dict[str, Any] = {"batch": networks.batch(), "loss_fn": nn.functional.cross_entropy}
    before, after = tanh_net(depth, width), tanh_net(depth, width)
    initialize(before, "he_normal")
    unbounded = ", gamma=1e9" if name == "gradinit" else ""  # else it bounds the gradient first
    report = initialize(after, f"{name}(steps=2{unbounded})", **given)
    old, new = (
        quotient(m) if name == "metainit" else loss_after_a_step(copy.deepcopy(m), 0.1)[0]
        for m in (before, after)
    )
    assert new <= old and f"{old:.4g} → {new:.4g}" in report.rows[0].note
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        cosine = nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        assert a.dim() == 1 or abs(cosine.item()) == pytest.approx(1, abs=1e-4)


def test_metainit_changes_norms_and_no_directions() -> None:
    before, after = tanh_net(), tanh_net()
    initialize(before, "he_normal")
    spec, loss = "metainit(steps=5)", nn.functional.cross_entropy
    initialize(after, spec, batch=networks.batch(), loss_fn=loss)
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        cosine = nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        assert a.dim() == 1 or cosine.item() == pytest.approx(1, abs=1e-5)


def test_a_gradient_quotient_is_that_of_a_quadratic() -> None:
    """L = Σ h_i w_i² / 2 has g = h w and Hg = h² w, so the quotient is the mean of h."""
    h = torch.tensor([0.1, 0.5, 1.5], dtype=torch.float64)
    w = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    found = gradient_quotient((h * w * w).sum() / 2, [w], eps=0.0)
    assert found.item() == pytest.approx(h.mean().item())


def loss_after_a_step(model: nn.Module, lr: float) -> tuple[float, float]:
    x, y = networks.batch()
    loss = nn.functional.cross_entropy(model(x), y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt().item()
    with torch.no_grad():
        for parameter, g in zip(model.parameters(), gradients, strict=True):
            parameter.sub_(lr * g)
        return nn.functional.cross_entropy(model(x), y).item(), norm


@pytest.mark.parametrize("start", ["normal(std=1)", "he_normal", "normal(std=0.1)"])
def test_gradinit_lowers_the_loss_after_a_step_within_the_longest_gradient(start: str) -> None:
    before, after = tanh_net(), tanh_net()
    initialize(before, start)
    spec = f"gradinit(start={start!r}, steps=60, scale_lr=0.03)"
    report = initialize(after, spec, batch=networks.batch(), loss_fn=nn.functional.cross_entropy)
    old, _ = loss_after_a_step(before, 0.1)
    new, norm = loss_after_a_step(after, 0.1)
    assert new < old
    assert norm <= 1.0 + 1e-5
    assert f"→ {new:.4g}" in report.rows[0].note


def test_a_loss_takes_the_model_where_there_is_no_batch() -> None:
    x, y = networks.batch()

    def loss(model: Any) -> Tensor:
        return nn.functional.cross_entropy(model(x), y)

    first, second = tanh_net(), tanh_net()
    for spec in ("metainit(steps=2)", "gradinit(steps=2)"):
        initialize(first, spec, loss_fn=loss)
        initialize(second, spec, batch=(x, y), loss_fn=nn.functional.cross_entropy)
        pairs = zip(first.parameters(), second.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_frozen_parameters_are_not_tuned() -> None:
    model = tanh_net()
    model[0].requires_grad_(False)
    initialize(model, "he_normal")
    frozen = model.get_parameter("0.weight").clone()
    for spec in ("metainit(steps=2)", "gradinit(steps=2)"):
        initialize(model, spec, batch=networks.batch(), loss_fn=nn.functional.cross_entropy)
        assert torch.equal(model.get_parameter("0.weight"), frozen)


@pytest.mark.parametrize("overrides", [None, {"*": "he_normal"}], ids=["frozen", "overridden"])
@pytest.mark.parametrize(("spec", "what"), [("metainit", "weight"), ("gradinit", "parameter")])
def test_where_nothing_can_be_tuned_it_is_said(
    spec: str, what: str, overrides: dict[str, str] | None
) -> None:
    model = tanh_net().requires_grad_(overrides is not None)
    given: dict[str, Any] = {"batch": networks.batch(), "loss_fn": nn.functional.cross_entropy}
    with pytest.raises(InitBenchError, match=f"no {what} of this Sequential can be tuned"):
        initialize(model, spec, overrides=overrides, **given)
