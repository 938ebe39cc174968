"""True fans, against connections counted by autograd on the module itself."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import module_fans, variance_scaling_
from init_bench.init.tensor_inits.fans import fans
from tests.init.tensor_inits.test_variance_scaling import assert_drawn_from

CONVOLUTIONS = [getattr(nn, f"Conv{way}{n}d") for way in ("", "Transpose") for n in (1, 2, 3)]


def connections(module: nn.Module, x: Tensor) -> tuple[float, float]:
    """Return the most terms one output sums and the most outputs one input reaches.

    With weights of 1 every connection adds 1: an output to ones is its number of terms, an
    input's gradient the number of outputs it reaches.
    """
    for parameter in module.parameters():
        nn.init.ones_(parameter) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    x = torch.ones_like(x, requires_grad=True)
    out = module(x)
    (reached,) = torch.autograd.grad(out.sum(), x)
    return out.max().item(), reached.max().item()


@pytest.mark.parametrize("kind", CONVOLUTIONS, ids=lambda kind: kind.__name__)
@given(
    groups=st.integers(1, 3), n_in=st.integers(1, 3), n_out=st.integers(1, 3), k=st.integers(1, 3)
)
def test_a_convolution_is_counted_as_it_connects(
    kind: Any, groups: int, n_in: int, n_out: int, k: int
) -> None:
    module = kind(n_in * groups, n_out * groups, k, groups=groups, padding=k - 1)
    axes = module.weight.dim() - 2
    expected = connections(module, torch.ones(1, n_in * groups, *[5] * axes))
    assert module_fans(module, "weight") == expected
    assert module_fans(module, "bias") == expected


@pytest.mark.parametrize("groups", [1, 4])
def test_torch_counts_groups_and_transposition_wrongly_and_we_do_not(groups: int) -> None:
    """pytorch#23854: fans swapped in ConvTranspose2d, fan_out times groups of a depthwise one."""
    across = nn.ConvTranspose2d(8, 16, 3, groups=groups)
    assert fans(across.weight) == (16 // groups * 9, 8 * 9)
    assert module_fans(across, "weight") == (8 // groups * 9, 16 // groups * 9)
    depthwise = nn.Conv2d(8, 8, 3, groups=8)
    assert fans(depthwise.weight) == (9, 72)
    assert module_fans(depthwise, "weight") == (9, 9)


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        (nn.Linear(3, 5), "weight", (3, 5)),
        (nn.Linear(3, 5), "bias", (3, 5)),
        (nn.Embedding(100, 8), "weight", (1, 8)),
        (nn.EmbeddingBag(100, 8), "weight", (1, 8)),
        (nn.MultiheadAttention(8, 2), "in_proj_weight", (8, 8)),
        (nn.MultiheadAttention(8, 2), "in_proj_bias", (8, 8)),
        (nn.MultiheadAttention(8, 2, kdim=5, vdim=6), "k_proj_weight", (5, 8)),
        (nn.LSTM(5, 7), "weight_ih_l0", (5, 7)),
        (nn.LSTM(5, 7), "bias_hh_l0", (7, 7)),
        (nn.LSTM(5, 7, proj_size=3), "weight_hr_l0", (7, 3)),
        (nn.GRU(5, 7, 2, bidirectional=True), "weight_ih_l1_reverse", (14, 7)),
        (nn.RNN(5, 7), "weight_ih_l0", (5, 7)),
        (nn.LSTMCell(5, 7), "weight_ih", (5, 7)),
        (nn.Bilinear(3, 4, 5), "weight", (12, 5)),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 5)), "weight", (3, 5)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_fans_of_what_is_packed_looked_up_or_stacked(
    module: nn.Module, name: str, expected: tuple[int, int]
) -> None:
    assert module_fans(module, name) == expected


def test_an_unknown_parameter_is_refused_with_those_there_are() -> None:
    wrong = r"Linear has no parameter 'wieght'; its own are: weight, bias"
    with pytest.raises(InitBenchError, match=wrong):
        module_fans(nn.Linear(2, 2), "wieght")


def test_a_scale_has_no_fans() -> None:
    with pytest.raises(InitBenchError, match=r"2 or more dimensions .* got shape \(4,\)"):
        module_fans(nn.BatchNorm1d(4), "weight")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.ConvTranspose2d(64, 16, 3), "weight"),
        (nn.Conv2d(256, 256, 3, groups=256), "weight"),
        (nn.MultiheadAttention(64, 8), "in_proj_weight"),
        (nn.Embedding(200, 64), "weight"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_variance_scaling_takes_the_true_fans(module: nn.Module, name: str) -> None:
    """torch#166378: by shape, packed q, k and v come out √2 too small."""
    weight = getattr(module, name)
    counted = module_fans(module, name)
    variance_scaling_(weight, mode="fan_avg", fans=counted, generator=stream(0, name))
    assert_drawn_from("truncated_normal", weight.detach(), 2 / sum(counted))
