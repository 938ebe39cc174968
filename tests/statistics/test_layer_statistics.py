"""Every statistic against a plain NumPy float64 reference, and the identities between them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from init_bench.statistics.compared import COMPARED_SAMPLES, COMPARED_UNITS
from init_bench.statistics.formulas import STATISTICS
from init_bench.statistics.layer_statistics import describe, describe_weight
from init_bench.statistics.number_formats import FORMAT_STATISTICS
from tests.statistics.formats_by_casting import lost_shares

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MOMENTS = ("mean", "std", "min", "max", "zero")
SHAPES = npst.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=7)

# Multiples of 1/8: sums are exact, so that "does not change" is a fact and not a rounding.
eighths = npst.arrays(np.float64, SHAPES, elements=st.integers(-64, 64).map(lambda n: n / 8))
bounds = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-8.0, 8.0)])


def compared(z: Array) -> Array:
    """Return the first samples, and of many units every k-th."""
    return z[:COMPARED_SAMPLES, :: math.ceil(z.shape[1] / COMPARED_UNITS)]


def reference_correlation(z: Array) -> float:
    """Return the mean |Pearson| over pairs of samples that vary over units."""
    varying = [row for row in compared(z) if np.ptp(row) > 0]
    pairs = [(a, b) for i, a in enumerate(varying) for b in varying[:i]]
    if not pairs:
        return math.nan
    return float(np.mean([abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs]))


def reference_rank(z: Array) -> float:
    """Return the exponential of the entropy of the singular values' shares."""
    singular = np.linalg.svd(compared(z), compute_uv=False)
    kept = singular[singular > 1e-7 * singular.max()]
    share = kept / kept.sum()
    return math.exp(-np.sum(share * np.log(share))) if kept.size else 0.0


def reference_kurtosis(z: Array) -> float:
    """Return the mean fourth power of standardized values, nan without spread."""
    chosen = compared(z)
    return float(stats.kurtosis(chosen, axis=None, fisher=False)) if np.ptp(chosen) else math.nan


def reference(values: Array, ends: tuple[float, float] | None) -> dict[str, float]:
    z = values.reshape(len(values), -1).astype(np.float64)
    low, high = ends or (math.nan, math.nan)
    margin = 0.05 * (high - low)
    near = (z <= low + margin) | (z >= high - margin)
    return {
        "mean": z.mean(),
        "std": z.std(),
        "min": z.min(),
        "max": z.max(),
        "saturated": near.mean() if ends else math.nan,
        "dead": np.mean(np.ptp(z, axis=0) == 0),
        "zero": np.mean(z == 0),
        "sample_std": math.sqrt(z.var(axis=0).mean()),
        "unit_std": z.mean(axis=0).std(),
        "correlation": reference_correlation(z),
        "effective_rank": reference_rank(z),
        "distinct": math.nan,
        "nonfinite": 0.0,
        "rms": math.sqrt(np.square(z).mean()),
        "kurtosis": reference_kurtosis(z),
        **lost_shares(torch.tensor(z), torch.tensor(compared(z))),
    }


def close(expected: object) -> object:
    """Return ``expected`` to 1e-5, nan equal to nan."""
    return pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)


@given(values=eighths, ends=st.none() | bounds)
def test_every_statistic_agrees_with_numpy(values: Array, ends: tuple[float, float] | None) -> None:
    assert describe(torch.tensor(values, dtype=torch.float32), ends) == close(
        reference(values, ends)
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("samples", [50, 300, 1500])
def test_every_statistic_of_a_real_layer_agrees_with_numpy(samples: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(samples)
    weight = torch.randn(30, 40, generator=generator) / 40**0.5
    layer = torch.relu(torch.randn(samples, 40, generator=generator) @ weight.T) * scale
    found, expected = describe(layer), reference(layer.double().numpy(), None)
    scaled = ("mean", "std", "min", "max", "sample_std", "unit_std", "rms")
    found |= {name: found[name] / scale for name in scaled}
    expected |= {name: expected[name] / scale for name in scaled}
    assert found == close(expected)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


LARGE = {
    "convolution": drawn(8, 16, 60, 60),
    "channels last": drawn(8, 16, 60, 60).to(memory_format=torch.channels_last),
    "relu": drawn(8, 16, 60, 60).relu(),
    "spread between units": torch.sigmoid(drawn(1, 40_000) + 1e-5 * drawn(8, 40_000)),
    "spread between samples": drawn(8, 1) + drawn(8, 40_000),
    "far from zero": 1000 + drawn(8, 40_000),
    "almost constant": 0.5 + 1e-5 * drawn(8, 40_000),
    "many samples": torch.sigmoid(0.01 * drawn(4000, 100) + 0.01 * drawn(1, 100)),
    "samples in two groups": torch.cat([drawn(500, 600), 5 + drawn(500, 600)]),
    "wide": (drawn(300, 784) @ drawn(784, 1000) / 28).tanh(),
    "dead": torch.cat([drawn(8, 20_000), torch.zeros(8, 20_000)], dim=1),
    "equal samples": drawn(1, 40_000).repeat(8, 1),
    "one sample": drawn(1, 300_000),
    "low rank": drawn(64, 3) @ drawn(3, 5000),
    "vanishing": 1e-25 * drawn(8, 40_000),
    "exploding": 1e25 * drawn(8, 40_000),
    "half precision": drawn(8, 40_000).bfloat16(),
}
"""Layers of many values."""


@pytest.mark.parametrize("name", LARGE)
def test_every_statistic_of_a_large_layer_agrees_with_numpy(name: str) -> None:
    layer = LARGE[name]
    in_memory = layer.movedim(1, -1) if name == "channels last" else layer
    found, expected = describe(layer), reference(in_memory.double().numpy(), None)
    size = expected["sample_std"] or expected["std"]
    for mean in (found, expected):
        mean["mean"] /= size  # a mean is as exact as the values vary
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5 * min(size, 1.0), nan_ok=True)


@pytest.mark.parametrize("name", ["convolution", "many samples", "wide"])
def test_a_large_weights_moments_agree_with_numpy(name: str) -> None:
    found, expected = describe_weight(LARGE[name]), reference(LARGE[name].double().numpy(), None)
    agreeing = (*MOMENTS, "effective_rank")
    assert {k: found[k] for k in agreeing} == close({k: expected[k] for k in agreeing})
    assert found["distinct"] == len(LARGE[name])


def test_equal_large_layers_have_equal_statistics_to_the_bit() -> None:
    layer = LARGE["relu"]
    assert describe(layer) == pytest.approx(describe(layer.clone()), rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_saturation_of_a_real_layer_agrees_with_numpy(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = getattr(torch, name)(3 * torch.randn(200, 6, 4, generator=generator))
    ends = (0.0, 1.0) if name == "sigmoid" else (-1.0, 1.0)
    assert describe(layer, ends) == close(reference(layer.double().numpy(), ends))
    assert describe(layer, ends)["saturated"] > 0.1


@given(values=eighths)
def test_the_variance_splits_into_samples_and_units(values: Array) -> None:
    found = describe(torch.tensor(values, dtype=torch.float32))
    assert found["std"] ** 2 == close(found["sample_std"] ** 2 + found["unit_std"] ** 2)


@given(values=eighths, seed=st.integers(0, 99))
def test_the_order_of_few_samples_does_not_matter(values: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(values))
    found, shuffled = (describe(torch.tensor(z)) for z in (values, values[order]))
    assert found == close(shuffled)


@given(values=eighths, ends=st.none() | bounds)
def test_statistics_stay_in_their_ranges(values: Array, ends: tuple[float, float] | None) -> None:
    found = describe(torch.tensor(values), ends)
    shares = [found[name] for name in ("saturated", "dead", "zero", "correlation", "nonfinite")]
    assert all(math.isnan(share) or -1e-9 <= share <= 1 + 1e-9 for share in shares)
    assert found["min"] <= found["mean"] + 1e-9 and found["mean"] <= found["max"] + 1e-9
    assert found["effective_rank"] <= min(len(values), values[0].size) + 1e-6


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("function", [describe, describe_weight])
@given(values=eighths, data=st.data())
def test_where_something_is_not_finite_the_rest_is_nan(
    function: object, broken: float, values: Array, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, values.size))
    values.flat[:number] = broken
    found = (describe if function is describe else describe_weight)(torch.tensor(values))
    assert found.pop("nonfinite") == pytest.approx(number / values.size)
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("function", [describe, describe_weight])
def test_the_columns_are_fixed(function: object) -> None:
    found = (describe if function is describe else describe_weight)(torch.eye(3))
    assert tuple(found) == (*STATISTICS, *FORMAT_STATISTICS)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 8), (8, 8), (100, 300)])
def test_orthogonal_rows_have_full_effective_rank(rows: int, columns: int) -> None:
    weight = torch.nn.init.orthogonal_(
        torch.empty(rows, columns), generator=torch.Generator().manual_seed(rows)
    )
    expected = min(rows, COMPARED_SAMPLES)
    assert describe(weight)["effective_rank"] == close(expected)
    assert describe_weight(weight)["effective_rank"] == close(expected)
    assert describe_weight(weight)["distinct"] == rows


@pytest.mark.parametrize(("samples", "units"), [(2, 3), (100, 100), (512, 100), (1000, 600)])
def test_a_matrix_of_rank_one_has_effective_rank_one(samples: int, units: int) -> None:
    generator = torch.Generator().manual_seed(0)
    column, row = (
        torch.rand(samples, 1, generator=generator),
        torch.rand(1, units, generator=generator),
    )
    z = column.double() * row.double()
    assert describe(z)["effective_rank"] == close(1)


@pytest.mark.parametrize("rank", [2, 5])
def test_a_low_rank_layer_has_no_more_effective_rank(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    left = torch.linalg.qr(torch.randn(COMPARED_SAMPLES, rank, generator=generator).double())[0]
    right = torch.linalg.qr(torch.randn(200, rank, generator=generator).double())[0]
    assert describe(left @ right.T)["effective_rank"] == close(rank)


def test_a_zero_matrix_carries_nothing() -> None:
    found = describe(torch.zeros(6, 4))
    assert (found["effective_rank"], found["dead"], found["zero"], found["std"]) == (0, 1, 1, 0)
    assert math.isnan(found["correlation"])


def test_equal_samples_are_dead_units_and_fully_correlated() -> None:
    found = describe(torch.tensor([[0.5, -1.0, 2.0]]).repeat(9, 1))
    assert (found["dead"], found["sample_std"]) == (1, 0)
    assert found["correlation"] == close(1)


def test_only_the_first_samples_are_compared() -> None:
    generator = torch.Generator().manual_seed(0)
    same = torch.tensor([[1.0, 2.0, 4.0]]).repeat(COMPARED_SAMPLES, 1)
    found = describe(torch.cat([same, torch.randn(50, 3, generator=generator)]))
    assert found["correlation"] == close(1)


@given(
    rows=npst.arrays(
        np.float64,
        npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
        elements=st.integers(-3, 3),
    )
)
def test_distinct_counts_different_rows(rows: Array) -> None:
    weight = torch.tensor(rows, dtype=torch.float32)
    assert describe_weight(weight)["distinct"] == len(np.unique(rows, axis=0))


@given(rows=st.integers(1, 6), copies=st.integers(1, 4), scale=st.floats(1e-6, 1e6))
def test_distinct_ignores_rounding_and_scale(rows: int, copies: int, scale: float) -> None:
    weight = torch.eye(rows).repeat(copies, 1)
    weight[0] += 1e-7
    assert describe_weight(weight * scale)["distinct"] == rows


@given(values=eighths)
def test_a_weights_moments_agree_with_numpy(values: Array) -> None:
    found, expected = describe_weight(torch.tensor(values)), reference(values, None)
    assert {k: found[k] for k in MOMENTS} == close({k: expected[k] for k in MOMENTS})
    assert math.isnan(found["sample_std"]) and math.isnan(found["dead"])


@given(values=eighths)
def test_neither_values_nor_their_graph_are_touched(values: Array) -> None:
    assume(values.size)
    z = torch.tensor(values, requires_grad=True)
    describe(z)
    describe_weight(z)
    assert np.array_equal(z.detach().numpy(), values)
    assert z.grad is None and z.grad_fn is None
