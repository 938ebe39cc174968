"""Comparing samples, against NumPy's correlations and singular values."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from init_bench.statistics.compared import (
    COMPARED_SAMPLES,
    COMPARED_UNITS,
    Array,
    EffectiveRanks,
)
from init_bench.statistics.layer_statistics import describe


def correlation(z: torch.Tensor) -> float:
    return describe(z)["correlation"]


def drawn(samples: int, units: int, *, mean: float = 0.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, units, generator=generator).double() + mean


def rank_by_singular_values(z: Array) -> float:
    values = np.linalg.svd(z, compute_uv=False)
    share = values[values > 1e-7 * values[0]] / values[values > 1e-7 * values[0]].sum()
    return math.exp(-(share * np.log(share)).sum())


@pytest.mark.parametrize("shape", [(2, 3), (8, 100), (64, 10), (64, 512)], ids=str)
@pytest.mark.parametrize("mean", [0.0, 1.0, 100.0])
def test_the_correlation_is_that_of_all_pairs(shape: tuple[int, int], mean: float) -> None:
    z = drawn(*shape, mean=mean)
    pairs = np.abs(np.corrcoef(z.numpy()))[np.triu_indices(shape[0], k=1)]
    assert correlation(z) == pytest.approx(pairs.mean(), rel=1e-9)


def test_samples_that_do_not_vary_over_units_are_left_out() -> None:
    z = torch.cat([drawn(3, 20), torch.full((2, 20), 0.3).double()])
    assert correlation(z) == pytest.approx(correlation(z[:3]), rel=1e-12)
    assert math.isnan(correlation(z[2:]))


def test_the_first_samples_at_evenly_spaced_units_are_compared() -> None:
    z = drawn(COMPARED_SAMPLES + 5, 2 * COMPARED_UNITS - 1)
    chosen = z[:COMPARED_SAMPLES, ::2]
    found, expected = describe(z), describe(chosen)
    for name in ("correlation", "effective_rank"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    z[COMPARED_SAMPLES:] += 5
    z[:, 1::2] -= 5
    changed = describe(z)
    for name in ("correlation", "effective_rank"):
        assert changed[name] == pytest.approx(found[name], rel=1e-12)


def effective_rank(z: torch.Tensor) -> float:
    return describe(z)["effective_rank"]


SHAPES = [(1, 4), (2, 2), (5, 3), (8, 100), (64, 10), (64, 100)] * 6
"""Of more layers than are computed side by side."""


def test_effective_ranks_are_those_of_singular_values_and_do_not_depend_on_company() -> None:
    ranks, together, alone = EffectiveRanks(), [], []
    for seed, shape in enumerate(SHAPES):
        z = drawn(*shape, mean=float(seed % 3), seed=seed)
        together.append(describe(z, None, ranks))
        alone.append(effective_rank(z))
        assert alone[-1] == pytest.approx(rank_by_singular_values(z.numpy()), rel=1e-9)
    assert math.isnan(together[-1]["effective_rank"])
    ranks.fill()
    assert [found["effective_rank"] for found in together] == alone


def test_a_layer_of_zeros_has_rank_0() -> None:
    assert effective_rank(torch.zeros(3, 4)) == 0.0


@pytest.mark.parametrize("size", [2.0**-1000, 2.0**-400, 2.0**400, 2.0**1000])
def test_the_scale_does_not_matter(size: float) -> None:
    z = drawn(5, 7)
    assert effective_rank(z * size) == effective_rank(z)
    assert correlation(z * size) == correlation(z)


def test_threads_share_a_computation_of_ranks() -> None:
    layers = [drawn(64, 2000, mean=float(k % 3), seed=k) for k in range(60)]
    alone = [effective_rank(z) for z in layers]
    ranks = EffectiveRanks()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda z: describe(z, None, ranks), layers))
    ranks.fill()
    assert [found["effective_rank"] for found in together] == alone
