"""Initializers draw what they say: bounds from theory, bits from torch."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import stream
from init_bench.init import INITS, he_normal_, normal_, uniform_, variance_scaling_
from init_bench.init.tensor_inits.fans import fans

ALARM = 1e-11
"""Chance that one check of a right initializer fails. Some 15 checks run on at most 100 examples
each, three numbers an example: the chance of a false alarm in a run of this file is below 1e-6."""

CUT = 2 / 0.87962566103423978
"""Where the truncated normal ends, in its own standard deviations."""

UNIT_LAWS: dict[str, Any] = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "truncated_normal": stats.truncnorm(-2, 2, scale=CUT / 2),
}
"""The three distributions at variance 1, as SciPy computes them."""

VARIANCES: dict[str, Callable[[float, float], float]] = {
    "lecun": lambda n_in, n_out: 1 / n_in,
    "xavier": lambda n_in, n_out: 2 / (n_in + n_out),
    "he": lambda n_in, n_out: 2 / n_in,
    "variance": lambda n_in, n_out: 1 / n_in,
}
"""The papers' variances by the first word of the initializer's name."""

SCALED = [n for n, f in INITS.items() if inspect.getmodule(f) is inspect.getmodule(he_normal_)]

shapes = st.builds(
    lambda n_out, n_in, kernel: (n_out, n_in, *kernel),
    st.integers(20, 90),
    st.integers(20, 90),
    st.sampled_from([(), (3,), (3, 2)]),
) | st.sampled_from([(64, 64), (1024, 64), (64, 1024), (512, 1024)])
seeds = st.integers(0, 2**31)


def law_of(name: str) -> str:
    return "truncated_normal" if name == "variance_scaling" else name.rpartition("_")[2]


def expected_variance(name: str, shape: tuple[int, ...]) -> float:
    kernel = math.prod(shape[2:])
    return VARIANCES[name.split("_")[0]](shape[1] * kernel, shape[0] * kernel)


def tolerance(variance: float, largest: float, number: int) -> float:
    """Return Bernstein's bound on a mean of ``number`` terms, exceeded with chance ``ALARM``."""
    log = math.log(2 / ALARM)
    linear = log * largest / 3
    return (linear + math.sqrt(linear**2 + 2 * number * variance * log)) / number


@functools.cache
def variance_limits(law: str, number: int) -> tuple[float, float]:
    """Return what the mean square of ``number`` draws of variance 1 may be.

    Normal: number x mean square is chi-squared. The others are bounded: Bernstein.
    """
    if law == "normal":
        square = stats.chi2(number)
        return square.ppf(ALARM / 2) / number, square.isf(ALARM / 2) / number
    end = UNIT_LAWS[law].support()[1]
    slack = tolerance(UNIT_LAWS[law].moment(4) - 1, end**2, number)
    return 1 - slack, 1 + slack


def assert_drawn_from(law: str, weight: Tensor, variance: float) -> None:
    """Check second moment, mean and the whole distribution function."""
    z = weight.double().flatten().numpy() / math.sqrt(variance)
    low, high = variance_limits(law, z.size)
    assert low < np.square(z).mean() < high, "variance"
    # All three laws are sub-Gaussian with variance proxy at most their bound squared.
    proxy = 1.0 if law == "normal" else UNIT_LAWS[law].support()[1]
    assert abs(z.mean()) < proxy * math.sqrt(2 * math.log(2 / ALARM) / z.size), "mean"
    # Dvoretzky-Kiefer-Wolfowitz: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).
    distance = stats.kstest(z, UNIT_LAWS[law].cdf, mode="asymp").statistic
    assert distance < math.sqrt(math.log(2 / ALARM) / (2 * z.size)), "distribution"


@pytest.mark.parametrize("name", SCALED)
@given(shape=shapes, seed=seeds)
@example(shape=(1024, 64), seed=0)
@example(shape=(64, 1024), seed=0)
def test_a_scaled_init_has_the_distribution_it_states(
    name: str, shape: tuple[int, ...], seed: int
) -> None:
    weight = INITS[name](torch.empty(shape), generator=stream(seed, name))
    assert_drawn_from(law_of(name), weight, expected_variance(name, shape))


@given(
    shape=shapes,
    seed=seeds,
    scale=st.floats(1e-3, 1e3),
    mode=st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    law=st.sampled_from(sorted(UNIT_LAWS)),
)
def test_variance_scaling_has_variance_scale_over_fan(
    shape: tuple[int, ...], seed: int, scale: float, mode: Any, law: Any
) -> None:
    weight = variance_scaling_(torch.empty(shape), scale, mode, law, generator=stream(seed, "w"))
    n_in, n_out = fans(weight)
    fan = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[mode]
    assert_drawn_from(law, weight, scale / fan)


@given(shape=shapes, seed=seeds, std=st.floats(1e-4, 1e2))
def test_normal_has_the_std_it_is_given(shape: tuple[int, ...], seed: int, std: float) -> None:
    weight = normal_(torch.empty(shape), std=std, generator=stream(seed, "w"))
    assert_drawn_from("normal", weight, std**2)


@given(shape=shapes, seed=seeds, half=st.floats(1e-4, 1e2))
def test_uniform_fills_its_range_evenly(shape: tuple[int, ...], seed: int, half: float) -> None:
    weight = uniform_(torch.empty(shape), -half, half, generator=stream(seed, "w"))
    assert_drawn_from("uniform", weight, half**2 / 3)


@given(shape=shapes, seed=seeds, mean=st.floats(-5, 5))
def test_normal_has_the_mean_it_is_given(shape: tuple[int, ...], seed: int, mean: float) -> None:
    weight = normal_(torch.empty(shape), mean, 1.0, generator=stream(seed, "w"))
    limit = stats.norm.isf(ALARM / 2) / math.sqrt(weight.numel())
    assert abs(weight.double().mean().item() - mean) < limit + 1e-6  # 1e-6: float32 at 5


@given(shape=shapes, seed=seeds, scale=st.floats(1e-3, 1e3))
def test_truncated_normal_ends_at_two_standard_deviations_of_the_uncut_normal(
    shape: tuple[int, ...], seed: int, scale: float
) -> None:
    weight = variance_scaling_(torch.empty(shape), scale, generator=stream(seed, "w"))
    end = 2 * math.sqrt(scale / fans(weight)[0]) / 0.87962566103423978
    assert weight.abs().max().item() <= end * (1 + 1e-6)  # the end itself, rounded to float32


@given(shape=shapes, seed=seeds)
@pytest.mark.parametrize("name", [name for name in SCALED if name.endswith("uniform")])
def test_a_uniform_init_ends_at_root_three_standard_deviations(
    name: str, shape: tuple[int, ...], seed: int
) -> None:
    weight = INITS[name](torch.empty(shape), generator=stream(seed, name))
    end = math.sqrt(3 * expected_variance(name, shape))
    assert weight.abs().max().item() <= end * (1 + 1e-6)


@given(shape=shapes)
def test_fans_count_the_kernel_as_the_module_does(shape: tuple[int, ...]) -> None:
    n_in, n_out = fans(torch.empty(shape, device="meta"))
    kernel = math.prod(shape[2:])
    assert (n_in, n_out) == (shape[1] * kernel, shape[0] * kernel)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("shape", [(), (5,)], ids=str)
def test_a_weight_without_fans_is_refused_with_its_shape(name: str, shape: tuple[int, ...]) -> None:
    wrong = rf"2 or more dimensions .*got shape {str(shape).translate({40: '.', 41: '.'})}"
    with pytest.raises(InitBenchError, match=wrong):
        INITS[name](torch.empty(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": -1.0}, r"scale must be a finite number >= 0, got -1\.0"),
        ({"scale": math.nan}, r"scale must be a finite number >= 0, got nan"),
        ({"mode": "fan_inn"}, r"unknown mode 'fan_inn': did you mean 'fan_in'\? Known: fan_in,"),
        ({"distribution": "cauchy"}, r"unknown distribution 'cauchy'.* Known: normal, uniform, tr"),
    ],
)
def test_variance_scaling_refuses_what_it_cannot_do(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InitBenchError, match=message):
        variance_scaling_(torch.empty(3, 2), **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("normal", {"std": -1}, r"std must be a finite number >= 0, got -1"),
        ("normal", {"mean": math.inf}, r"mean must be a finite number, got inf"),
        ("uniform", {"a": 2, "b": 1}, r"a must not exceed b, got a=2, b=1"),
        (
            "constant",
            {"value": "x"},
            r"needs a number that torch.float32 holds, got 'x'",
        ),
        (
            "he_normal",
            {"nonlinearity": "gleu"},
            r"unknown nonlinearity 'gleu': did you mean 'gelu'",
        ),
        ("he_uniform", {"mode": "fan"}, r"unknown mode 'fan'.* Known: fan_in, fan_out"),
        ("xavier_normal", {"gain": math.nan}, r"gain must be a finite number >= 0, got nan"),
        ("torch.dirac", {}, r"torch\.nn\.init\.dirac_ refuses a weight of shape \(3, 2\)"),
    ],
)
def test_an_init_names_the_bad_argument(name: str, arguments: Any, message: str) -> None:
    weight = torch.full((3, 2), 9.0)
    with pytest.raises(InitBenchError, match=message):
        INITS[name](weight, **arguments)
    assert (weight == 9).all(), "refused, yet filled"
