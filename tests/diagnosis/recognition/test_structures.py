"""Structures: each is told from its neighbors, and chance does not make one."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench.diagnosis.recognition.attention_factors import is_mimetic
from init_bench.diagnosis.recognition.structures import patterns
from init_bench.hooks.random_streams import DispatchMode, stream
from init_bench.init import INITS


def filled(name: str, *shape: int) -> Tensor:
    return INITS[name](torch.empty(shape), generator=stream(0, name))


@pytest.mark.parametrize(
    ("weight", "names"),
    [
        (3 * filled("identity", 4, 6), ["identity(gain=3)", "orthogonal"]),
        (filled("dirac", 6, 4, 3), ["dirac or identity", "delta_orthogonal"]),
        (filled("delta_orthogonal", 6, 4, 3), ["delta_orthogonal"]),
        (filled("orthogonal", 6, 4, 3), ["orthogonal"]),
        (filled("looks_linear", 8, 6), ["looks_linear"]),
        (filled("looks_linear", 2, 2), []),
        (torch.ones(1, 5), []),
    ],
    ids=lambda value: "" if isinstance(value, Tensor) else " ".join(value),
)
def test_each_structure_has_its_names(weight: Tensor, names: list[str]) -> None:
    assert list(patterns([weight])) == names


@given(seed=st.integers(0, 10**6), kernel=st.sampled_from([(), (3,)]))
def test_chance_makes_no_structure(seed: int, kernel: tuple[int, ...]) -> None:
    """Two rows of 30 are orthogonal to 1e-5 and of one length with a chance below 1e-8."""
    weight = torch.randn(2, 30, *kernel, generator=stream(seed, "weight"))
    assert not list(patterns([weight]))


def test_every_block_must_have_the_structure() -> None:
    square, other = filled("orthogonal", 4, 4), filled("normal", 4, 4)
    assert list(patterns([square, square])) == ["orthogonal"]
    assert not list(patterns([square, other]))


def test_a_relu_that_zeroed_weights_at_random_is_not_sparse() -> None:
    weight = nn.functional.relu(filled("normal", 20, 30))
    assert not list(patterns([weight]))


class InTF32(DispatchMode):  # type: ignore[no-untyped-call]
    """Rounds what float32 products multiply to 10 bits, as GPUs do that are so told."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default):
            args = [x.half().float() if x.dtype == torch.float32 else x for x in args]
        return func(*args, **(kwargs or {}))


def test_products_that_the_user_has_rounded_hide_no_structure() -> None:
    weight = filled("orthogonal", 64, 64)
    left, size, _ = torch.linalg.svd(weight - 2 * filled("he_normal", 64, 64))
    with InTF32():
        assert list(patterns([weight])) == ["orthogonal"]
        assert is_mimetic("output", [left * size.sqrt()])
