"""Shares that number formats lose, against casting to them, at the ends of each format."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from init_bench.statistics import describe, describe_weight
from init_bench.statistics.number_formats import FORMATS, LARGE, SMALL
from tests.statistics.formats_by_casting import lost_shares


def around(limit: float) -> list[float]:
    """Return a limit and the numbers of float32 next to it."""
    single = np.float32(limit)
    return [
        float(np.nextafter(single, np.float32(0))),
        float(single),
        float(np.nextafter(single, np.float32(np.inf))),
    ]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("limit", [*SMALL, *LARGE])
def test_values_at_the_ends_of_a_format_are_lost_as_a_cast_loses_them(
    limit: float, sign: int
) -> None:
    for value in around(limit):
        values = torch.tensor([[sign * value, 1.0]])
        wanted = lost_shares(values, values)
        assert {name: describe(values)[name] for name in wanted} == wanted


@pytest.mark.parametrize("scale", [1e-40, 1e-7, 1e-3, 1.0, 1e4, 1e38])
def test_a_layer_of_any_scale_loses_what_a_cast_loses(scale: float) -> None:
    layer = torch.randn(60, 500, generator=torch.Generator().manual_seed(0)) * scale
    layer = layer.clamp(-3e38, 3e38)
    wanted = lost_shares(layer, layer)
    found = describe(layer)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-12)
    assert any(wanted.values())


def test_zeros_do_not_underflow() -> None:
    found = describe(torch.zeros(4, 3))
    assert [found[f"{name}_underflow"] for name in FORMATS] == [0] * len(FORMATS)
    assert found["rms"] == 0 and math.isnan(found["kurtosis"])


def test_one_value_of_many_that_overflows_is_counted() -> None:
    layer = torch.ones(200, 1000)
    layer[150, 777] = 1e5  # beyond the samples and units that are compared
    assert describe(layer)["float16_overflow"] == 1 / layer.numel()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("function", [describe, describe_weight])
def test_kurtosis_has_no_scale_and_stands_a_large_mean(function: object, scale: float) -> None:
    heavy = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).double() ** 3 + 1e3
    measure = describe if function is describe else describe_weight
    found = measure(heavy * scale)
    wanted = stats.kurtosis(heavy.numpy(), axis=None, fisher=False)
    assert found["kurtosis"] == pytest.approx(wanted, rel=1e-6)
    assert found["rms"] == pytest.approx(scale * heavy.square().mean().sqrt().item())


def test_a_gaussian_has_kurtosis_three() -> None:
    layer = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
    error = math.sqrt(24 / layer.numel())
    assert abs(describe(layer)["kurtosis"] - 3) < 5 * error
