"""Residual branches as people write them: beside each other, under conditions, with a memory."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import init_bench as ib
from init_bench.init.whole_model.model_graph import ModelGraph

WIDTH = 16


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        mixed = functional.scaled_dot_product_attention(
            self.query(x), self.key(memory), self.value(memory)
        )
        return self.out(mixed)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Any:
        return self.down(functional.gelu(self.up(x)))


class Parallel(nn.Module):
    """x + attention(norm x) + mlp(norm x), in the order of GPT-J or of GPT-NeoX."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.norm, self.attention, self.mlp = nn.LayerNorm(WIDTH), Attention(), MLP()
        self.order = order

    def forward(self, x: Tensor) -> Any:
        h = self.norm(x)
        attended, mapped = self.attention(h, h), self.mlp(h)
        if self.order == "x + a + m":
            return x + attended + mapped
        if self.order == "x + m + a":
            return x + mapped + attended
        return mapped + attended + x if self.order == "m + a + x" else x + (attended + mapped)


def ends_of(model: nn.Module) -> list[str]:
    """Return the last weight of each branch."""
    graph = ModelGraph(model)
    return [graph.weights_of(branch)[-1].name for branch in graph.branches()]


@pytest.mark.parametrize("order", ["x + a + m", "x + m + a", "m + a + x", "x + (a + m)"])
def test_branches_beside_each_other_are_two(order: str) -> None:
    blocks = [Parallel(order) for _ in range(2)]
    model = nn.Sequential(nn.Linear(3, WIDTH), *blocks, nn.Linear(WIDTH, 2))
    parts = ("attention.out.weight", "mlp.down.weight")
    assert sorted(ends_of(model)) == sorted(f"{i}.{part}" for i in (1, 2) for part in parts)
    notes = ib.initialize(model, "gpt2").table.set_index("parameter")["note"]
    assert (notes == "ends one of 4 residual branches").sum() == 4


class Conditioned(nn.Module):
    """A block of a DiT: a condition shifts, scales and gates both branches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.attention, self.mlp = Attention(), MLP()
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))

    def forward(self, x: Tensor, condition: Tensor) -> Any:
        made = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        h = self.norm(x) * (1 + made[0]) + made[1]
        x = x + made[2] * self.attention(h, h)
        return x + made[3] * self.mlp(self.norm(x) * (1 + made[4]) + made[5])


class Diffusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.time = nn.Linear(3, WIDTH), MLP()
        self.label = nn.Embedding(5, WIDTH)
        self.blocks = nn.ModuleList([Conditioned(), Conditioned()])

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Any:
        x, condition = self.image(x), self.time(time) + self.label(label)
        for block in self.blocks:
            x = block(x, condition)
        return x


def test_a_shift_is_no_skip_and_a_condition_no_part_of_a_branch() -> None:
    model, graph = Diffusion(), ModelGraph(Diffusion())
    parts = ("attention.out.weight", "mlp.down.weight")
    assert ends_of(model) == [f"blocks.{i}.{part}" for i in (0, 1) for part in parts]
    inside = [p.name for b in graph.branches() for p in graph.weights_of(b)]
    assert not any(name.startswith(("image", "time", "label")) for name in inside)
    assert [n.replace("s.1", "s.0") for n in inside if "s.1" in n] == [
        n for n in inside if "s.0" in n
    ]


class Decoder(nn.Module):
    """An encoder, and blocks of attention to what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([MLP(), MLP()])
        self.blocks = nn.ModuleList([Across(), Across()])

    def forward(self, source: Tensor, x: Tensor) -> Any:
        for layer in self.encoder:
            source = source + layer(source)
        for block in self.blocks:
            x = block(x, source)
        return x


class Across(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        return x + self.attention(x, memory)


def test_attention_to_a_memory_has_its_keys_and_not_the_encoder() -> None:
    graph = ModelGraph(Decoder())
    weights = [{p.name for p in graph.weights_of(branch)} for branch in graph.branches()]
    parts = ("query", "key", "value", "out")
    assert weights == [
        *({f"encoder.{i}.{part}.weight" for part in ("up", "down")} for i in (0, 1)),
        *({f"blocks.{i}.attention.{part}.weight" for part in parts} for i in (0, 1)),
    ]


class Shared(nn.Module):
    """One block, run four times, whose factor is the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mlp, self.head = nn.Linear(3, WIDTH), MLP(), nn.Linear(WIDTH, 2)
        self.alpha = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        for _ in range(4):
            x = x + self.alpha * self.mlp(x)
        return self.head(x)


def ratios(spec: str, model: nn.Module, plain: str) -> dict[str, float]:
    """Return the std of each weight over that of another initializer."""
    found, other = (ib.initialize(model, s).table.set_index("parameter") for s in (spec, plain))
    return dict(found["std_nominal"] / other["std_nominal"])


def test_a_block_that_runs_again_is_scaled_once() -> None:
    found = ratios("gpt2", Shared(), "normal(std=0.02)")
    assert found["mlp.down.weight"] == pytest.approx(1 / 2)
    found = ratios("fixup", Shared(), "he_normal")
    assert found["mlp.up.weight"] == pytest.approx(1 / 2)
    model = Shared()
    ib.initialize(model, "skipinit(scale=0.25)")
    assert model.alpha.item() == 0.25


class Mixture(nn.Module):
    """A shared expert and others in a list, weighed by a router."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.shared = nn.Linear(WIDTH, 3), MLP()
        self.experts = nn.ModuleList([MLP() for _ in range(3)])

    def forward(self, x: Tensor) -> Any:
        shares = torch.softmax(self.gate(x), -1)
        parts = [shares[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts)]
        return self.shared(x) + sum(parts)


class Squeezed(nn.Module):
    """Channels of a layer, weighed by what two others make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
        self.gate = nn.Linear(4, WIDTH)

    def forward(self, x: Tensor) -> Any:
        h = self.fc(x)
        return h * torch.sigmoid(self.gate(torch.relu(self.down(h))))


class Around(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Any:
        return x + self.branch(x)


@pytest.mark.parametrize(
    ("spec", "plain", "shrunk"),
    [
        ("gpt2", "normal(std=0.02)", 4**-0.5),
        ("llama", "trunc_normal(std=0.02, a=-0.06, b=0.06)", 8**-0.5),  # counts blocks, twice each
    ],
)
def test_all_experts_end_their_branch(spec: str, plain: str, shrunk: float) -> None:
    model = nn.Sequential(*(Around(Mixture()) for _ in range(4)))
    found = ratios(spec, model, plain)
    parts = ("shared", "experts.0", "experts.1", "experts.2")
    ends = {f"{i}.branch.{part}.down.weight" for i in range(4) for part in parts}
    assert {name for name, ratio in found.items() if ratio == pytest.approx(shrunk)} == ends
    assert all(found[name] == pytest.approx(1) for name in found if ".gate.weight" in name)


def test_a_gate_does_not_end_a_branch_that_fixup_starts_at_0() -> None:
    model = nn.Sequential(Around(Squeezed()), Around(Squeezed()), nn.Linear(WIDTH, 2))
    ib.initialize(model, "fixup")
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model[:2](x), x)


def test_a_projection_skips_and_two_of_several_layers_do_not() -> None:
    class Sides(nn.Module):
        def __init__(self, *sides: nn.Module) -> None:
            super().__init__()
            self.sides = nn.ModuleList(sides)

        def forward(self, x: Tensor) -> Any:
            return self.sides[0](x) + self.sides[1](x)

    assert ends_of(Sides(nn.Linear(WIDTH, WIDTH), MLP())) == ["sides.1.down.weight"]
    three = nn.Sequential(MLP(), nn.Linear(WIDTH, WIDTH))
    assert not ModelGraph(Sides(MLP(), three)).structure.branches
