"""Layers of the user's own are judged by what they do: not by what they store, nor by a name."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import init_bench as ib
from tests import user_layers as own

X, Y = torch.randn(32, 64, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 10


def around(layer: Callable[[int, int], nn.Module]) -> Any:
    torch.manual_seed(0)
    inner = (layer(64, 128), nn.ReLU(), layer(128, 128), nn.ReLU())
    return nn.Sequential(*inner, nn.Linear(128, 10))


def found(model: nn.Module, x: Tensor = X) -> list[tuple[str, str]]:
    bad = ib.diagnose(model, x, Y).bad
    return [(row["layer"], row["verdict"]) for row in bad.to_dict("records") if not row["cause"]]


def old_weight_norm(n_in: int, n_out: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer: nn.Module = nn.utils.weight_norm(nn.Linear(n_in, n_out))
    layer.get_parameter("weight_v").data.mul_(1000)
    return layer


def unit_rows(n_in: int, n_out: int) -> nn.Module:
    layer = own.UnitRows(n_in, n_out)
    nn.init.normal_(layer.weight, std=1e-4)
    return layer


SOUND = (
    own.ScaledWhenUsed,
    own.ScaledInput,
    unit_rows,
    own.Int8,
    own.FourBit,
    own.UnseenKernel,
    old_weight_norm,
)


@pytest.mark.parametrize("layer", SOUND, ids=lambda layer: layer.__name__)
def test_a_sound_effective_weight_is_healthy_whatever_is_stored(
    layer: Callable[[int, int], nn.Module],
) -> None:
    assert found(around(layer)) == []


@pytest.mark.parametrize("frequency", [30.0, 200.0])
def test_a_sine_layer_is_judged_with_its_frequency(frequency: float) -> None:
    torch.manual_seed(0)
    hidden = (own.Sine(128, 128, frequency), own.Sine(128, 128, frequency))
    model = nn.Sequential(own.Sine(2, 128, frequency, first=True), *hidden, nn.Linear(128, 1))
    x = torch.rand(64, 2) * 2 - 1
    assert ib.diagnose(model, x, torch.randn(64, 1), F.mse_loss).healthy


@pytest.mark.parametrize(("factor", "verdict"), [(1e-3, "vanishing"), (50.0, "exploding")])
def test_a_wrong_effective_weight_is_found_and_the_advice_is_to_change_its_factor(
    factor: float, verdict: str
) -> None:
    model = around(own.ScaledWhenUsed)
    model[2].factor *= factor
    bad = ib.diagnose(model, X, Y).bad
    first = bad[bad["cause"] == ""].iloc[0]
    assert (first["layer"], first["verdict"]) == ("2", f"{verdict}_signal")
    assert "not the stored values" in first["advice"]


def test_the_recommended_std_is_that_of_the_stored_values() -> None:
    model = around(own.ScaledWhenUsed)
    rows = ib.diagnose(model, X, Y).weights.set_index("parameter")
    drawn = rows.loc[["0.weight", "2.weight"]]
    gain = drawn["gain"] * drawn["recommended_std"] / drawn["std"]
    assert gain.tolist() == pytest.approx([2**0.5] * 2, rel=1e-3)  # as ReLU wants it
    assert drawn["stored_gain"].min() > 5 * drawn["gain"].max()


def test_a_scale_tensor_of_a_quantized_layer_is_no_weight() -> None:
    weights = ib.diagnose(around(own.Int8), X, Y).weights.set_index("parameter")
    assert weights.used_as[["0.weight", "0.scale"]].tolist() == ["matrix", "scale"]
    assert weights.fan_in[["0.weight", "0.scale"]].tolist() == [64, 0]
    assert 0.9 < weights.gain["0.weight"] < 1.1


def test_equal_units_of_a_transposed_weight_are_found() -> None:
    model = around(lambda a, b: own.Product(a, b, a**-0.5))
    first = model[0].weight
    first.data = first.data[:, :1].expand_as(first).clone()
    assert ("0", "symmetric") in found(model)


PARTS: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "heads": (lambda: own.ByHead(4, 64, 16), {"query": 64, "value": 64, "out": 64}),
    "chosen experts": (lambda: own.ChosenExperts(2, 64, 96), {"up": 64, "down": 96}),
    "product": (lambda: own.Product(64, 64, 0.125), {"weight": 64}),
}


class Net(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.head = part, nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head((x + self.part(x)).mean(1))
        return out


@pytest.mark.parametrize("name", PARTS)
def test_fans_are_those_of_the_product_that_ran(name: str) -> None:
    torch.manual_seed(0)
    make, fans = PARTS[name]
    model, x = Net(make()), torch.randn(32, 5, 64)
    diagnosis = ib.diagnose(model, x, Y)
    told = diagnosis.weights.set_index("parameter").fan_in
    assert {k: told[f"part.{k}"] for k in fans} == fans
    assert diagnosis.healthy


class Spread(nn.Module):
    """Weights of N(mean, spread²): noise that is fixed, times a spread, around a mean."""

    noise: Tensor

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.randn(n_out, n_in) / n_in**0.5)
        self.spread = nn.Parameter(torch.full((n_out, n_in), 0.01))
        self.register_buffer("noise", torch.randn(n_out, n_in))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.spread * self.noise + self.mean)


class Oscillators(nn.Module):
    """A convolution along time whose kernel is computed from decays, rates and shares."""

    def __init__(self, n: int = 8) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.full((64, n), -0.7))
        self.rate = nn.Parameter(torch.arange(n).repeat(64, 1).float())
        self.share = nn.Parameter(torch.randn(64, n, 2))

    def forward(self, x: Tensor) -> Tensor:
        poles = -self.decay.exp() + 1j * self.rate
        ages = poles.unsqueeze(-1) * torch.arange(12.0)
        shares = torch.view_as_complex(self.share) * (poles.exp() - 1) / poles
        kernel = torch.einsum("cn,cnt->ct", shares, ages.exp()).real / 8
        signal = x.unsqueeze(-1).expand(-1, -1, 12)
        return (signal * kernel).mean(-1)


def test_of_parameters_that_make_up_a_weight_the_one_used_as_it_is_is_the_weight() -> None:
    model = around(Spread)
    uses = ib.diagnose(model, X, Y).weights.set_index("parameter")
    assert list(uses.used_as[["0.mean", "0.spread"]]) == ["matrix", "scale"]
    ib.initialize(model, "he_normal")
    assert (model[0].spread == 0.01).all()
    assert model[0].mean.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)


def test_parameters_that_a_kernel_is_computed_from_are_no_matrices() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Oscillators(), nn.Linear(64, 10))
    uses = ib.diagnose(model, X, Y).weights.set_index("parameter")
    names = ["0.decay", "0.rate"]
    assert "matrix" not in set(uses.used_as[names])
    before = {name: model.get_parameter(name).clone() for name in names}
    ib.initialize(model, "he_normal")
    assert all(torch.equal(before[name], model.get_parameter(name)) for name in names)


def test_a_table_is_one_by_its_use_and_has_no_gain() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(own.Lookup(50, 512), nn.Flatten(), nn.Linear(512 * 4, 10))
    tokens = torch.randint(0, 50, (32, 4))
    diagnosis = ib.diagnose(model, tokens, Y)
    assert diagnosis.healthy
    assert diagnosis.weights.used_as[0] == "table"


def test_what_normalizes_is_told_by_what_it_does() -> None:
    torch.manual_seed(0)
    layers = (own.Centered(64), own.SquashInstead(64), own.NormedEmbeddingHead(64, 64))
    model = nn.Sequential(*layers, nn.LayerNorm(64), nn.Linear(64, 10))
    diagnosis = ib.diagnose(model, X, Y)
    profile = diagnosis.profile[~diagnosis.profile.layer.str.contains(":")]
    normalizes = dict(zip(profile.layer, profile.normalizes, strict=True))
    assert normalizes == {"0": True, "1": False, "2": False, "3": True, "4": False}
    assert diagnosis.healthy


def test_equal_units_are_found_in_a_class_that_is_named_after_a_norm() -> None:
    model = around(own.NormedEmbeddingHead)
    model[0].weight.data.fill_(0.1)
    assert ("0", "symmetric") in found(model)


class ProductBesideLayer(nn.Module):
    """Multiplies by a parameter of its own, then by a layer."""

    def __init__(self, std: float, *, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.own = nn.Parameter(torch.randn(64, 128) * std)
        self.norm = nn.LayerNorm(128) if norm else nn.Identity()
        self.down = nn.Linear(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.relu(self.norm(x @ self.own)))
        return out


@pytest.mark.parametrize(
    ("std", "norm", "said"),
    [
        (0.125, False, []),
        (1e-4, False, [("0", "vanishing_signal")]),
        (4.0, False, [("0", "exploding_signal")]),
        (4.0, True, []),
    ],
)
def test_a_product_beside_child_layers_is_judged_at_its_module(
    std: float, norm: bool, said: list[tuple[str, str]]
) -> None:
    model = nn.Sequential(ProductBesideLayer(std, norm=norm), nn.ReLU(), nn.Linear(64, 10))
    assert found(model) == said


def test_a_signal_without_spread_does_not_make_weights_of_zero_large() -> None:
    """Equal weights sum what LayerNorm centers: about 0, of which the next layer sees nothing."""

    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.down = nn.Linear(64, 64), nn.Parameter(torch.ones(64, 4))
            self.up = nn.Parameter(torch.zeros(4, 64))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x) + x @ self.down @ self.up
            return out

    layers = nn.Linear(64, 64), nn.LayerNorm(64), Adapted(), nn.ReLU(), nn.Linear(64, 10)
    assert found(nn.Sequential(*layers)) == [("2", "symmetric")]


def test_a_product_scaled_afterwards_is_judged_by_what_the_next_layer_receives() -> None:
    class Scaled(ProductBesideLayer):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.down(F.relu(x @ self.own / 8))
            return out

    assert found(nn.Sequential(Scaled(1.6), nn.ReLU(), nn.Linear(64, 10))) == []


class Experts(nn.Module):
    """Four experts in one parameter of shape (experts, out, in), and a router.

    Where the router is no module, the experts are a layer by themselves.
    """

    def __init__(self, how: str, *, leaf: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how, self.router = how, None if leaf else nn.Linear(64, 4)
        self.route = nn.Parameter(torch.randn(4, 64) / 8) if leaf else None
        self.up = nn.Parameter(torch.randn(4, 128, 64) * 64**-0.5)
        self.down = nn.Parameter(torch.randn(4, 64, 128) * 128**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        if self.router is None:
            logits = F.linear(x, self.get_parameter("route"))
        else:
            logits = self.router(x)
        if self.how == "einsum":
            hidden = F.relu(torch.einsum("bi,eoi->ebo", x, self.up))
            each = torch.einsum("ebo,eio->ebi", hidden, self.down)
        elif self.how == "bmm":
            hidden = F.relu(torch.bmm(x.expand(4, -1, -1), self.up.mT))
            each = torch.bmm(hidden, self.down.mT)
        else:
            pairs = zip(self.up, self.down, strict=True)
            each = torch.stack([F.linear(F.relu(F.linear(x, up)), down) for up, down in pairs])
        return x + torch.einsum("ebi,be->bi", each, logits.softmax(-1))


def among_layers(how: str, *, leaf: bool) -> tuple[nn.Module, Experts]:
    experts = Experts(how, leaf=leaf)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), experts, nn.Linear(64, 10)), experts


@pytest.mark.parametrize("leaf", [False, True])
@pytest.mark.parametrize("how", ["einsum", "bmm", "linear"])
def test_equal_units_inside_each_of_stacked_experts_are_found(how: str, leaf: bool) -> None:
    model, experts = among_layers(how, leaf=leaf)
    assert found(model) == []
    experts.up.data = experts.up.data[:, :1].repeat(1, 128, 1)
    assert ("2", "symmetric") in found(model)


@pytest.mark.parametrize("leaf", [False, True])
@pytest.mark.parametrize("how", ["einsum", "bmm", "linear"])
def test_copies_of_one_expert_are_no_fault_as_the_router_tells_them_apart(
    how: str, leaf: bool
) -> None:
    # A regression with 4 experts of 8 units, 300 steps of Adam at the best of three rates, mean of
    # three seeds: copies end at a loss of 0.031 and random experts at 0.023, of the 2 best experts
    # a sample both at 0.038; a single expert at 0.222.
    model, experts = among_layers(how, leaf=leaf)
    experts.up.data = experts.up.data[:1].repeat(4, 1, 1)
    assert found(model) == []


class Averaged(nn.Module):
    """Averages over the positions by a fixed matrix, whose rows are all equal."""

    def __init__(self, *, child: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((4, 4), 0.25))
        self.inner = nn.Linear(16, 16) if child else None

    def forward(self, x: Tensor) -> Tensor:
        z = x if self.inner is None else self.inner(x)
        return self.get_buffer("mean") @ z


@pytest.mark.parametrize("child", [False, True])
def test_equal_rows_that_are_not_learned_are_no_fault(child: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (4, 16)), nn.Linear(16, 16), nn.ReLU(), Averaged(child=child),
        nn.ReLU(), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    assert found(model) == []


def test_a_weight_norm_of_zero_is_told_as_a_layer_of_zeros() -> None:
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(30, 30))
    nn.init.zeros_(normed.parametrizations.weight.original0)
    found = ib.diagnose(
        nn.Sequential(nn.Linear(64, 30), nn.ReLU(), normed, nn.ReLU(), nn.Linear(30, 10)), X, Y
    )
    assert 'layer "2" first: its weights are all 0' in found.headline
