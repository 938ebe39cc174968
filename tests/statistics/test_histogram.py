"""Shares in bins: a distribution, whatever the scale, counted as NumPy counts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from init_bench.hooks.random_streams import stream
from init_bench.hooks.record import capture
from init_bench.statistics.histogram import BINS, CENTERS, REACH, relative_histogram
from init_bench.statistics.layer_statistics import describe
from init_bench.statistics.stacked import histograms_of_stack

SCALES = [1e-30, 1.0, 1e30]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=stream(0, "values"))


NUMBERS = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-30)
"""Scaled below too: an RMS too small for a float32 counts as 0."""


@given(
    values=st.lists(NUMBERS, min_size=1),
    power=st.integers(-20, 20),
)
def test_shares_are_a_distribution_that_no_scale_changes(values: list[float], power: int) -> None:
    tensor = torch.tensor(values, dtype=torch.float64)[:, None]
    found = relative_histogram(tensor, describe(tensor)).shares
    assert math.isclose(sum(found), 1, abs_tol=1e-9) and len(found) == BINS
    scaled = tensor * 2.0**power
    assert relative_histogram(scaled, describe(scaled)).shares == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_bins_are_those_of_numpy(dtype: torch.dtype, scale: float) -> None:
    values = (normal(40, 50) * scale).to(dtype)
    numbers = describe(values)
    rms = math.hypot(numbers["mean"], numbers["std"])
    relative = np.clip(values.double().numpy() / rms, -REACH, REACH)
    counts = np.histogram(relative, bins=np.linspace(-REACH, REACH, BINS + 1))[0]
    # A value on an edge, to rounding, may fall on its other side.
    assert np.array(relative_histogram(values, numbers).shares) == pytest.approx(
        counts / 2000, abs=2 / 2000
    )


def test_values_outside_count_in_the_outermost_bins() -> None:
    values = torch.cat([torch.ones(99), torch.tensor([100.0])])[:, None]
    found = relative_histogram(values, describe(values)).shares
    assert found[-1] == 0.01 and sum(found) == pytest.approx(1)


@pytest.mark.parametrize("values", [torch.zeros(3, 2), normal(9, 8).relu()], ids=["all", "half"])
def test_zeros_lie_in_the_middle_bin(values: torch.Tensor) -> None:
    found = relative_histogram(values, describe(values)).shares
    assert CENTERS[BINS // 2] == 0
    assert found[BINS // 2] >= (values == 0).double().mean()


def test_what_is_not_finite_has_no_shares() -> None:
    values = torch.tensor([[1.0], [math.inf]])
    assert all(math.isnan(share) for share in relative_histogram(values, describe(values)).shares)


@given(
    values=st.lists(st.floats(width=32, allow_subnormal=True), min_size=1),
    shape=st.sampled_from([(-1, 1), (1, -1)]),
)
def test_every_finite_value_is_counted_once(values: list[float], shape: tuple[int, int]) -> None:
    tensor = torch.tensor(values, dtype=torch.float32).view(shape)
    found = relative_histogram(tensor, describe(tensor))
    assert sum(found.counts) == int(tensor.isfinite().sum())
    assert found.whole == bool(tensor.isfinite().all())
    (stacked,) = histograms_of_stack(tensor[None], [describe(tensor)])
    assert stacked.counts == found.counts


def test_a_capture_counts_outputs_when_it_is_told_to() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), normal(20, 4)
    with capture(model, histogram=True) as record:
        model(x).sum().backward()
    found = record.histograms()
    assert found.groupby(["layer", "index"], sort=False)["share"].sum().round(9).to_dict() == {
        ("0", 1): 1.0, ("1", 2): 1.0,
    }  # fmt: skip
    with capture(model) as silent:
        model(x)
    assert silent.histograms().empty
    assert list(silent.table()) == list(record.table())
