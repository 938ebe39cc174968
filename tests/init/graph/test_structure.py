"""A sum is residual where both sides carry the values of one x, whatever else they know of it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from init_bench.errors import InitBenchError
from init_bench.init import graph, initialize
from init_bench.init.graph.structure import Structure, trace

WIDTH = 4


class Parts(nn.Module):
    """Layers to be connected by one of the sums below."""

    def __init__(self, connect: Callable[..., Any]) -> None:
        super().__init__()
        self.emb, self.places = nn.Embedding(7, WIDTH), nn.Embedding(9, WIDTH)
        self.stem, self.fc = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.pos = nn.Parameter(torch.zeros(1, 9, WIDTH))
        self.alpha = nn.Parameter(torch.ones(()))
        self.connect = connect

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.connect(self, x)
        return out


def structure(connect: Callable[..., Any], x: Tensor) -> Structure:
    """Trace a model that runs."""
    model = Parts(connect)
    model(x)
    found = trace(model, [f"{name}.weight" for name in ("emb", "places", "stem", "fc")])
    assert found.how == "fx"
    return found


def unpacked(m: Parts, x: Tensor) -> Any:
    h = m.stem(x)
    _, length, _ = h.size()
    return m.pos[:, :length] + h.view(h.shape[0], length, WIDTH)


IDS = torch.arange(6).view(2, 3)
REALS = torch.ones(2, 3, WIDTH)
POSITIONS: dict[str, tuple[Callable[..., Any], Tensor]] = {
    "ids.shape": (lambda m, x: m.emb(x) + m.pos[:, : x.shape[1]], IDS),
    "ids.size": (lambda m, x: m.emb(x) + m.pos[:, : x.size(1)], IDS),
    "position first": (lambda m, x: m.pos[:, : x.size(1)] + m.emb(x), IDS),
    "method": (lambda m, x: m.emb(x).add(m.pos[:, : x.size(1)]), IDS),
    "ids.arange": (lambda m, x: m.emb(x) + m.places(torch.arange(x.shape[1])), IDS),
    "factorized": (lambda m, x: m.fc(m.emb(x)) + m.places(torch.arange(x.shape[1])), IDS),
    "device": (
        lambda m, x: m.fc(m.emb(x)) + m.places(torch.arange(x.shape[1], device=x.device)),
        IDS,
    ),
    "counted": (lambda m, x: m.fc(m.emb(x)) + m.places(torch.ones_like(x).cumsum(1)), IDS),
    "looked up": (lambda m, x: m.fc(m.emb(x)) + m.places(x), IDS),
    "functional": (
        lambda m, x: m.fc(m.emb(x)) + functional.embedding(x, m.places.weight),
        IDS,
    ),
    "stem.shape": (lambda m, x: m.stem(x) + m.pos[:, : x.shape[1]], REALS),
    "stem of size": (lambda m, x: m.stem(x) + m.pos.narrow(1, 0, x.size(1)), REALS),
    "arange": (lambda m, x: m.fc(m.stem(x)) + m.places(torch.arange(x.size(1))), REALS),
    "unpacked": (unpacked, REALS),
    "zeros": (lambda m, x: m.stem(x) + x.new_zeros(x.size(1), WIDTH), REALS),
    "laid out": (lambda m, x: m.stem(x) + m.alpha.expand_as(x).type_as(x).to(x.device), REALS),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_a_sum_that_shares_only_sizes_or_indices_is_not_residual(name: str) -> None:
    assert structure(*POSITIONS[name]).branches == ()


def test_sizes_of_the_hidden_signal_make_no_branch() -> None:
    def connect(m: Parts, x: Tensor) -> Any:
        h = m.stem(x)
        return m.fc(h) + m.pos[:, : h.size(1)]

    assert structure(connect, REALS).branches == ()


def reshaped(m: Parts, x: Tensor) -> Any:
    h = m.stem(x)
    batch, length, width = h.shape
    inner = m.fc(h.reshape(batch * length, width)).view(batch, length, width)
    return h + m.alpha * inner.type_as(h)


def after_positions(m: Parts, x: Tensor) -> Any:
    h = m.emb(x) + m.pos[:, : x.shape[1]]
    return h + m.alpha * m.fc(h)


RESIDUALS: dict[str, tuple[Callable[..., Any], Tensor]] = {
    "plain": (lambda m, x: x + m.alpha * m.fc(x), REALS),
    "reversed": (lambda m, x: m.fc(x) * m.alpha + x, REALS),
    "reshaped": (reshaped, REALS),
    "after positions": (after_positions, IDS),
    "sliced": (lambda m, x: x[:, :2] + m.alpha * m.fc(x)[:, : x.size(1) - 1], REALS),
    "moved": (lambda m, x: x.to(x.dtype) + m.alpha * m.fc(x.expand_as(x)), REALS),
    "learned": (lambda m, x: m.pos + m.alpha * m.fc(m.pos) + x.size(1), REALS),
}


@pytest.mark.parametrize("name", RESIDUALS)
def test_a_sum_that_shares_values_is_residual(name: str) -> None:
    (branch,) = structure(*RESIDUALS[name]).branches
    assert branch.modules == ("fc",)
    assert branch.parameters == ("alpha",)


def test_what_is_done_with_sizes_is_no_nonlinearity_behind_a_layer() -> None:
    def connect(m: Parts, x: Tensor) -> Any:
        h = m.stem(x)
        return h + torch.arange(h.size(1)).sin().unsqueeze(1)

    assert structure(connect, REALS).follows["stem"] == "identity"


class Block(nn.Module):
    """A block of a transformer, its attention the mean of what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.proj = nn.Linear(8, 8), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.alpha, self.beta = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.size()
        value = self.value(x).view(batch, length, 2, width // 2).cumsum(1)
        x = x + self.alpha * self.proj(value.reshape(batch, length, width))
        out: Tensor = x + self.beta * self.down(self.up(x).relu())
        return out


class MinGPT(nn.Module):
    """Tokens and learned positions, two blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.pos = nn.Embedding(50, 8), nn.Parameter(torch.zeros(1, 16, 8))
        self.blocks, self.head = nn.Sequential(Block(), Block()), nn.Linear(8, 50)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.blocks(self.emb(ids) + self.pos[:, : ids.shape[1]]))
        return out


def started(spec: str) -> dict[str, Tensor]:
    model = MinGPT()
    initialize(model, spec, seed=3)
    return {name: value.detach() for name, value in model.named_parameters()}


@pytest.mark.parametrize("start", ["he_normal", "normal(std=0.5)"])
@pytest.mark.parametrize("name", ["fixup", "skipinit"])
def test_the_tokens_of_a_transformer_are_no_branch(name: str, start: str) -> None:
    found = started(f"{name}(start='{start}')")
    assert torch.equal(found["emb.weight"], started(start)["emb.weight"])
    ends = [not found[f"blocks.{block}.down.weight"].any() for block in (0, 1)]
    factors = [found[f"blocks.{block}.alpha"].item() for block in (0, 1)]
    assert (ends, factors) == (([True] * 2, [1] * 2) if name == "fixup" else ([False] * 2, [0] * 2))


def test_gpt2_counts_two_branches_a_block() -> None:
    plain, found = started("normal(std=0.02)"), started("gpt2")
    assert torch.equal(found["emb.weight"], plain["emb.weight"])
    for name in ("blocks.0.proj.weight", "blocks.1.down.weight"):
        assert torch.allclose(found[name], plain[name] / 4**0.5)


def test_positions_alone_are_no_residual_branch() -> None:
    model = Parts(lambda m, x: m.emb(x) + m.pos[:, : x.shape[1]])
    with pytest.raises(InitBenchError, match="no residual branch"):
        initialize(model, "fixup")


class Residual(nn.Module):
    """Add blocks of two layers, one after another, to what the first of all reads."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def lines_run(blocks: int) -> int:
    """Return how many lines of ``init/graph`` run while a network of so many blocks is traced."""
    model = Residual(blocks)
    weights = [name for name, weight in model.named_parameters() if weight.dim() > 1]
    folder, count, before = str(Path(graph.__file__).parent), 0, sys.gettrace()

    def counted(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return counted if frame.f_code.co_filename.startswith(folder) else None

    sys.settrace(counted)
    try:
        found = trace(model, weights)
    finally:
        sys.settrace(before)
    assert len(found.branches) == blocks
    return count


def test_twice_as_many_blocks_take_twice_the_work() -> None:
    assert lines_run(40) < 2.2 * lines_run(20)
