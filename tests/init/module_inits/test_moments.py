"""Mean and variance that ``moments`` computes are those that samples show."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import init_bench as ib
from init_bench.errors import InitBenchError
from tests.init import networks

ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.ELU, nn.LeakyReLU]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def mlp(activation: Any, width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(width, width)]
    for _ in range(depth - 1):
        layers += [activation(), nn.Linear(width, width)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("width", "depth"), [(512, 2), (1024, 4)])
def test_outputs_have_variance_1(activation: Any, width: int, depth: int) -> None:
    model = mlp(activation, width, depth)
    ib.initialize(model, "moments")
    for index in range(0, len(model), 2):
        output = model[: index + 1](normal(256, width))
        assert output.var().item() == pytest.approx(1, abs=0.15)
        assert abs(output.mean().item()) < 0.15


@pytest.mark.parametrize("depth", [8, 64])
def test_relu_networks_keep_their_variance_at_any_depth(depth: int) -> None:
    model = mlp(nn.ReLU, 256, depth)
    ib.initialize(model, "moments")
    assert 0.3 < model(normal(64, 256)).square().mean().item() < 3


@pytest.mark.parametrize(("width", "depth"), [(64, 64), (64, 2), (1024, 2), (1024, 64)])
def test_relu_networks_get_he_s_std_at_any_width_and_depth(width: int, depth: int) -> None:
    with torch.device("meta"):
        report = ib.initialize(mlp(nn.ReLU, width, depth), "moments(start='lecun_normal')")
    first, *others = [row.std_nominal for row in report.rows if len(row.shape) == 2]
    assert first == pytest.approx(width**-0.5)
    assert others == pytest.approx([(2 / width) ** 0.5] * (depth - 1), rel=1e-3)


class Branched(nn.Module):
    """Sums, products, constants, functions, a norm and an own weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.gate = (nn.Linear(width, width) for _ in range(3))
        self.own = nn.Parameter(torch.empty(width, width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = self.fc1(x)
        b = self.fc2(torch.tanh(a) + 0.5)
        c = 2 * x + nn.functional.silu(b) * self.gate(x)
        d = torch.relu(c) @ self.own
        return {"a": a, "b": b, "d": d, "head": self.head(self.norm(d + c))}


def test_signals_are_carried_through_sums_products_and_functions() -> None:
    model = Branched(512)
    report = ib.initialize(model, "moments(start='lecun_normal')")
    for name, output in model(normal(512, 512)).items():
        assert output.var().item() == pytest.approx(1, abs=0.12), name
    assert all("inputs of mean 0, variance 1" in r.note for r in report.rows if len(r.shape) > 1)


class Gated(nn.Module):
    """Gates, one with a learned slope, between layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.glu = nn.Linear(width, 2 * width), nn.GLU()
        self.fc2, self.fc3 = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.slope, self.head = nn.Parameter(torch.tensor([0.25])), nn.Linear(width, width)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = self.fc2(self.glu(self.fc1(x)))
        b = self.fc3(nn.functional.glu(a, -1))
        return {"a": a, "b": b, "d": self.head(nn.functional.prelu(b, self.slope).softmax(-1))}


def test_gates_are_products_and_what_is_no_function_of_one_number_is_assumed() -> None:
    model = Gated(512)
    report = ib.initialize(model, "moments(start='lecun_normal')")
    outputs = model(normal(512, 512))
    assert outputs["a"].var().item() == pytest.approx(1, abs=0.12)
    assert outputs["b"].var().item() == pytest.approx(1, abs=0.12)
    notes = {row.parameter: row.note for row in report.rows}
    assert "behind softmax mean 0, variance 1" in notes["head.weight"]
    assert "behind" not in notes["fc3.weight"]


def test_a_convolution_is_scaled_by_its_true_fans() -> None:
    model = nn.Sequential(
        nn.Conv2d(16, 64, 3, padding="same", padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, groups=4, padding="same", padding_mode="circular"),
    )
    ib.initialize(model, "moments(start='lecun_normal')")
    assert model(normal(32, 16, 12, 12)).var().item() == pytest.approx(1, abs=0.15)


def test_what_had_to_be_assumed_is_told() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 4))
    notes = {row.parameter: row.note for row in ib.initialize(model, "moments").rows}
    assert "maxima keep mean and variance" in notes["3.weight"]
    assert "maxima" not in notes["0.weight"]
    rows = {r.parameter: r for r in ib.initialize(networks.transformer(), "moments").rows}
    assert "not scaled: no layer" in rows["1.layers.0.linear1.weight"].note
    assert "behind TransformerEncoder" in rows["2.weight"].note


def test_embeddings_overrides_and_tied_layers() -> None:
    shared = nn.Linear(64, 64)
    model: Any = nn.Sequential(nn.Embedding(50, 64), shared, nn.ReLU(), shared, nn.Linear(64, 64))
    report = ib.initialize(model, "moments", overrides={"4.weight": "constant(value=0.5)"})
    assert model[0].weight.var().item() == pytest.approx(1, abs=0.02)
    assert model[:2](torch.arange(50)).var().item() == pytest.approx(1, abs=0.2)
    assert (model[4].weight == 0.5).all()
    assert next(r.note for r in report.rows if r.parameter == "4.weight") == "override"


def test_meta_and_bfloat16() -> None:
    with torch.device("meta"):
        planned = ib.initialize(mlp(nn.ReLU, 64, 3), "moments(start='lecun_normal')")
    assert planned.rows[2].std_nominal == pytest.approx((2 / 64) ** 0.5, rel=1e-3)
    model = mlp(nn.ReLU, 512, 2).bfloat16()
    ib.initialize(model, "moments")
    assert model(normal(256, 512).bfloat16()).float().var().item() == pytest.approx(1, abs=0.15)


class Untraced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        return self.fc(x) if x.sum() > 0 else self.fc(-x)


def test_what_is_not_traced_is_refused_with_the_way_out() -> None:
    model = Untraced()
    before = model.fc.weight.clone()
    with pytest.raises(InitBenchError, match=r"torch\.fx traces.* use lsuv with a batch"):
        ib.initialize(model, "moments")
    assert torch.equal(before, model.fc.weight)


@pytest.mark.parametrize(
    "between",
    [lambda a: a - 3, lambda a: 3 - a, lambda a: a + 1, lambda a: a / 2, lambda a: a * a],
    ids=["a - 3", "3 - a", "a + 1", "a / 2", "a * a"],
)
def test_arithmetic_between_two_layers_is_followed(between: Callable[[Tensor], Tensor]) -> None:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(256, 256), nn.Linear(256, 256)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.second(between(self.first(x)))
            return found

    model = Between()
    ib.initialize(model, "moments", seed=0)
    x = torch.randn(512, 256, generator=torch.Generator().manual_seed(0))
    assert model(x).square().mean().item() == pytest.approx(1, rel=0.1)
