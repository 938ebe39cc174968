"""Laws of the initializers that keep lengths or pass the input through."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import (
    delta_orthogonal_,
    dirac_,
    identity_,
    looks_linear_,
    orthogonal_,
    sparse_,
)

ALARM = 1e-8
"""Chance that a check of a law of chance fails by itself; fewer than 100 are made: below 1e-6."""

sizes = st.integers(1, 40)
kernels = st.sampled_from([(), (1,), (3,), (2, 3), (3, 3), (2, 2, 3)])
gains = st.sampled_from([1.0, 0.5, math.sqrt(2.0), -1.0])
seeds = st.integers(0, 2**40)


def drawn(fill: Any, *shape: int, seed: int = 0, **arguments: Any) -> Tensor:
    weight: Tensor = fill(torch.empty(shape), generator=stream(seed, "w"), **arguments)
    return weight


def assert_orthogonal(matrix: Tensor, gain: float = 1.0, tolerance: float = 1e-5) -> None:
    """Check that the shorter side's vectors have length gain and right angles between them."""
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    error = short @ short.T / gain**2 - torch.eye(len(short), dtype=matrix.dtype)
    assert error.abs().max() < tolerance


@given(n_out=sizes, n_in=sizes, kernel=kernels, gain=gains, seed=seeds)
def test_orthogonal_is_orthogonal_to_1e_5(
    n_out: int, n_in: int, kernel: tuple[int, ...], gain: float, seed: int
) -> None:
    weight = drawn(orthogonal_, n_out, n_in, *kernel, seed=seed, gain=gain)
    assert_orthogonal(weight.flatten(1), gain)


@pytest.mark.parametrize("shape", [(512, 512), (64, 1024), (1024, 300), (1024, 1024)], ids=str)
def test_orthogonal_is_orthogonal_to_1e_5_at_the_size_of_a_layer(shape: tuple[int, int]) -> None:
    assert_orthogonal(drawn(orthogonal_, *shape))


def test_orthogonal_is_uniform_over_all_orthogonal_matrices() -> None:
    """An entry of a Haar matrix of size n is 2 Beta((n−1)/2, (n−1)/2) − 1; a bare Q's is not."""
    generator, n, number = stream(0, "haar"), 4, 2000
    entries = [
        orthogonal_(torch.empty(n, n), generator=generator)[0, 0].item() for _ in range(number)
    ]
    law = stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)
    # Dvoretzky-Kiefer-Wolfowitz: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).
    distance = stats.kstest(entries, law.cdf, mode="asymp").statistic
    assert distance < math.sqrt(math.log(2 / ALARM) / (2 * number))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@given(n_out=sizes, n_in=sizes, kernel=kernels, seed=seeds)
def test_orthogonal_in_half_types_is_the_float32_one_rounded(
    dtype: torch.dtype, n_out: int, n_in: int, kernel: tuple[int, ...], seed: int
) -> None:
    """torch's orthogonal_ has no half types on the CPU."""
    shape = (n_out, n_in, *kernel)
    half = orthogonal_(torch.empty(shape, dtype=dtype), generator=stream(seed, "w"))
    assert torch.equal(half, drawn(orthogonal_, *shape, seed=seed).to(dtype))
    # Rounding moves a vector of length 1 by at most eps/2: products by eps + eps²/4.
    assert_orthogonal(half.float().flatten(1), 1.0, 1e-5 + 1.01 * torch.finfo(dtype).eps)


def test_orthogonal_fills_a_kernel_in_channels_last() -> None:
    """torch's orthogonal_ fails where a view of the kernel as a matrix needs a copy."""
    weight = torch.empty(6, 4, 3, 3).to(memory_format=torch.channels_last)
    found = orthogonal_(weight, generator=stream(0, "w"))
    assert torch.equal(found, drawn(orthogonal_, 6, 4, 3, 3))
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", [(3,), (3, 5), (1, 3, 3), (2,)], ids=str)
@given(n_in=st.integers(1, 6), more=st.integers(0, 6), gain=gains, seed=seeds)
@example(n_in=64, more=0, gain=1.0, seed=0)
@example(n_in=64, more=192, gain=1.0, seed=0)
def test_a_delta_orthogonal_convolution_keeps_lengths(
    kernel: tuple[int, ...], n_in: int, more: int, gain: float, seed: int
) -> None:
    weight = drawn(delta_orthogonal_, n_in + more, n_in, *kernel, seed=seed, gain=gain)
    signal = torch.randn(2, n_in, *[6] * len(kernel), generator=stream(seed, "x"))
    pads = [side for k in reversed(kernel) for side in (k // 2, (k - 1) // 2)]
    around = functional.pad(signal, pads, mode="circular")
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[len(kernel) - 1]
    out = convolve(around, weight)
    assert torch.allclose(out.flatten(1).norm(dim=1), abs(gain) * signal.flatten(1).norm(dim=1))
    assert (weight.flatten(2).abs().sum(dim=(0, 1)) > 0).sum() == 1, "more than the center"


def test_a_narrowing_layer_has_no_delta_orthogonal_kernel() -> None:
    wrong = r"needs n_out >= n_in to keep lengths, got shape \(3, 4, 3\); use orthogonal_"
    with pytest.raises(InitBenchError, match=wrong):
        delta_orthogonal_(torch.empty(3, 4, 3))


@given(half_widths=st.lists(st.integers(1, 8), min_size=2, max_size=6), seed=seeds)
@example(half_widths=[32] * 65, seed=0)
@example(half_widths=[512, 512, 512], seed=0)
def test_a_looks_linear_relu_network_is_linear(half_widths: list[int], seed: int) -> None:
    widths = [2 * width for width in half_widths]
    layers: list[nn.Module] = []
    for index in range(len(widths) - 1):
        layer = nn.Linear(widths[index], widths[index + 1], bias=False).double()
        looks_linear_(layer.weight, generator=stream(seed, f"{index}.weight"))
        layers += [layer, nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    x, y = torch.randn(2, 3, widths[0], generator=stream(seed, "x"), dtype=torch.float64)
    assert torch.allclose(network(x - 2 * y), network(x) - 2 * network(y), atol=1e-9)


@given(half_width=st.integers(1, 16), gain=gains, seed=seeds)
@example(half_width=512, gain=1.0, seed=0)
def test_looks_linear_keeps_the_length_of_what_its_pairs_carry(
    half_width: int, gain: float, seed: int
) -> None:
    weight = drawn(looks_linear_, 2 * half_width, 2 * half_width, seed=seed, gain=gain)
    carried = torch.randn(half_width, generator=stream(seed, "x"))
    pairs = torch.cat([carried.relu(), (-carried).relu()])
    out = (weight @ pairs)[:half_width]
    assert torch.allclose(out.norm(), abs(gain) * carried.norm())
    assert torch.allclose(weight @ pairs, torch.cat([out, -out]), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (4, 5, 3)], ids=str)
def test_looks_linear_refuses_units_without_a_mirror(shape: tuple[int, ...]) -> None:
    with pytest.raises(InitBenchError, match=r"n_out and n_in must be even, got shape \("):
        looks_linear_(torch.empty(shape))


@given(n_out=sizes, n_in=sizes, gain=gains)
@example(n_out=64, n_in=1024, gain=0.5)
@example(n_out=1024, n_in=64, gain=0.5)
def test_the_identity_passes_what_fits(n_out: int, n_in: int, gain: float) -> None:
    weight, x = identity_(torch.empty(n_out, n_in), gain), torch.rand(n_in)
    passed = min(n_out, n_in)
    assert torch.equal((weight @ x)[:passed], gain * x[:passed])
    assert not (weight @ x)[passed:].any()


@given(
    groups=st.integers(1, 3),
    channels=st.integers(1, 4),
    k=st.integers(0, 2),
    axes=st.integers(1, 3),
)
@example(groups=2, channels=512, k=1, axes=1)
@example(groups=1, channels=64, k=1, axes=2)
def test_dirac_and_identity_kernels_pass_every_group(
    groups: int, channels: int, k: int, axes: int
) -> None:
    x = torch.rand(2, groups * channels, *[5] * axes)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    kernel = [2 * k + 1] * axes
    grouped = dirac_(torch.empty(groups * channels, channels, *kernel), groups)
    assert torch.equal(convolve(x, grouped, padding=k, groups=groups), x)
    whole = identity_(torch.empty(groups * channels, groups * channels, *kernel))
    assert torch.equal(convolve(x, whole, padding=k), x)


@given(rows=sizes, columns=sizes, sparsity=st.floats(0, 1), seed=seeds)
@example(rows=1024, columns=64, sparsity=0.9, seed=0)
@example(rows=64, columns=1024, sparsity=0.9, seed=0)
def test_sparse_zeroes_the_same_number_in_every_column(
    rows: int, columns: int, sparsity: float, seed: int
) -> None:
    weight = drawn(sparse_, rows, columns, seed=seed, sparsity=sparsity)
    assert ((weight == 0).sum(dim=0) == math.ceil(sparsity * rows)).all()


def test_what_sparse_leaves_is_normal_and_its_zeros_are_anywhere() -> None:
    weight = drawn(sparse_, 400, 300, sparsity=0.9, std=0.5)
    left = weight[weight != 0].double().numpy()
    low, high = (stats.chi2.ppf(end, left.size) / left.size for end in (ALARM / 2, 1 - ALARM / 2))
    assert low < np.square(left / 0.5).mean() < high
    # Each row keeps 30 of 300 entries, each column drawing on its own: binomial.
    kept = (weight != 0).sum(dim=1)
    law = stats.binom(300, 0.1)
    assert law.ppf(ALARM / 800) <= kept.min() and kept.max() <= law.isf(ALARM / 800)
