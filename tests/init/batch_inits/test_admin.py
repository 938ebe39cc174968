"""The law of Admin: each branch is divided by the spread of those before it."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.init import Report, initialize
from tests.init import networks

ENDS = [(2, 64), (64, 64), (2, 1024)]
"""Depths and widths at the ends of what the laws hold for."""


class PostNorm(nn.Module):
    """LayerNorm(ω x + scale · f(x)), as Admin's authors write it; ω is 1 in a model without."""

    def __init__(self, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm, self.scale = nn.LayerNorm(width), scale

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(torch.relu(self.fc1(x))) * self.scale
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x + self.branch(x))
        return out


def stack(depth: int, width: int = 16, scale: float = 1.0) -> nn.Sequential:
    blocks = [PostNorm(width, scale) for _ in range(depth)]
    return nn.Sequential(nn.Linear(5, width), *blocks, nn.Linear(width, 3))


def by_the_authors_form(model: nn.Sequential, x: Tensor) -> tuple[Tensor, list[float]]:
    """Return output and ω of each block where the skip is multiplied by ω in forward."""
    x, omegas, total = model[0](x), [], 1.0
    for block in model[1:-1]:
        assert isinstance(block, PostNorm)
        inner, omega = block.branch(x), math.sqrt(total)
        omegas.append(omega)
        total += inner.var(correction=0).item()
        x = block.norm(omega * x + inner)
    return model[-1](x), omegas


def notes_of(report: Report) -> dict[str, str]:
    return {row.parameter: row.note for row in report.rows}


@given(depth=st.integers(2, 24), scale=st.sampled_from([0.5, 1.0, 3.0]), seed=st.integers(0, 9))
@torch.no_grad()
def test_dividing_the_branch_is_the_factor_on_the_skip(depth: int, scale: float, seed: int) -> None:
    check_the_factor_on_the_skip(depth, 16, scale, seed)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), ENDS)
@torch.no_grad()
def test_the_factor_is_the_same_at_the_ends_of_depth_and_width(depth: int, width: int) -> None:
    check_the_factor_on_the_skip(depth, width, scale=1.0, seed=0)


def check_the_factor_on_the_skip(depth: int, width: int, scale: float, seed: int) -> None:
    x, plain, model = networks.batch()[0], stack(depth, width, scale), stack(depth, width, scale)
    initialize(plain, "xavier_uniform", seed=seed)
    report = initialize(model, "admin", batch=x, seed=seed)
    expected, omegas = by_the_authors_form(plain, x)
    assert torch.allclose(model(x), expected, atol=1e-4)
    for index, omega in enumerate(omegas, start=1):
        words, found = notes_of(report)[f"{index}.fc2.weight"].split(" = ")
        assert words == f"ends residual branch {index}: over omega"
        assert float(found) == pytest.approx(omega, rel=1e-3)


@given(depth=st.integers(2, 24))
@torch.no_grad()
def test_a_branch_weighs_against_its_skip_as_the_law_says(depth: int) -> None:
    check_the_share_of_each_branch(depth, width=16)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), ENDS)
@torch.no_grad()
def test_a_branch_weighs_the_same_at_the_ends_of_depth_and_width(depth: int, width: int) -> None:
    check_the_share_of_each_branch(depth, width)


def check_the_share_of_each_branch(depth: int, width: int) -> None:
    """Var[f_i] = v_i / (1 + Σ_{j<i} v_j), v those of undivided branches; a norm leaves 1."""
    x, plain, model = networks.batch()[0], stack(depth, width), stack(depth, width)
    initialize(plain, "xavier_uniform")
    initialize(model, "admin", batch=x)
    signal, total = model[0](x), 1.0
    for block, undivided in zip(model[1:-1], plain[1:-1], strict=True):
        assert isinstance(block, PostNorm) and isinstance(undivided, PostNorm)
        own = undivided.branch(signal).var(correction=0).item()
        assert total == 1 or signal.var(correction=0).item() == pytest.approx(1, rel=5e-3)
        divided = block.branch(signal).var(correction=0).item()
        assert divided == pytest.approx(own / total, rel=1e-3)
        total += own
        signal = block(signal)


def both_stacks() -> nn.Transformer:
    return nn.Transformer(8, 2, 2, 2, 16, dropout=0.0, batch_first=True)


def test_encoder_and_decoder_count_apart() -> None:
    x = networks.batch()[0][:, :4].reshape(4, 8, 8)
    notes = notes_of(initialize(both_stacks(), "admin", batch={"src": x, "tgt": x}))
    first = "ends residual branch 1: over omega = 1"
    assert notes["encoder.layers.0.self_attn.out_proj.weight"] == first
    assert notes["decoder.layers.0.self_attn.out_proj.weight"] == first
    assert "branch 3" in notes["decoder.layers.0.linear2.weight"]


def test_a_branch_with_an_override_counts_and_stays() -> None:
    x, model = networks.batch()[0], stack(3)
    report = initialize(model, "admin", batch=x, overrides={"1.fc2.weight": "normal(std=5)"})
    assert model.get_parameter("1.fc2.weight").std() > 4
    assert model.get_parameter("2.fc2.weight").std() < 0.1
    assert notes_of(report)["1.fc2.weight"] == "override"


class NormAtEnd(PostNorm):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.norm(self.branch(x))
        return out


def tied() -> nn.Sequential:
    model = stack(2)
    model[2].fc2 = model[1].fc2
    return model


@pytest.mark.parametrize(
    ("model", "batch", "words"),
    [
        (networks.plain(), networks.batch()[0], "found no residual branch"),
        (nn.Sequential(NormAtEnd(5)), networks.batch()[0], r"ends in the norm '0\.norm'"),
        (tied(), networks.batch()[0], r"'1\.fc2\.weight'.*ends more than one branch"),
        (stack(2), networks.batch()[0] * math.nan, r"output of '1\.fc2'.* is not finite"),
    ],
)
def test_what_admin_cannot_divide_is_refused_by_name(
    model: nn.Module, batch: Any, words: str
) -> None:
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(InitBenchError, match=words):
        initialize(model, "admin", batch=batch)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
