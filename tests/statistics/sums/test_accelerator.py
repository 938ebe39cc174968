"""Sums by torch's operations: taken where the layer is, brought over at once, however it is cut."""

import numpy as np
import pytest
import torch

from init_bench.statistics.sums import accelerator as tiles
from init_bench.statistics.sums.accelerator import EXACT_VALUES, bring_over
from tests.statistics.sums.reference import drawn, expected


def summed(z: torch.Tensor, ends: tuple[float, float] | None = None) -> dict[str, float]:
    """Return what the statistics of ``z`` are made of, from the sums that are brought over."""
    sums, _ = bring_over(z, ends, min(len(z), 64), 1)
    low, high, constant, common, unit, unit_square, squares, zeros, near_ends = sums
    units = z.shape[1]
    return {
        "low": low,
        "high": high,
        "zeros": zeros,
        "near_ends": near_ends,
        "constant_units": constant,
        "mean": common + unit / units,
        "within": squares / z.numel(),
        "between": unit_square / units - (unit / units) ** 2,
    }


@pytest.mark.parametrize("shape", [(8, 40_000), (3000, 100), (20, 30)], ids=str)
def test_how_a_layer_is_cut_changes_nothing(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = drawn(*shape)
    whole = summed(layer)
    monkeypatch.setattr(tiles, "_PIECE", 1000)
    assert summed(layer) == pytest.approx(whole, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("ends", [None, (-0.5, 0.5)])
@pytest.mark.parametrize("shape", [(9, 11), (200, 5), (3, EXACT_VALUES)], ids=str)
def test_sums_are_those_of_the_values(
    shape: tuple[int, ...], ends: tuple[float, float] | None
) -> None:
    z = drawn(*shape).relu()
    assert summed(z, ends) == pytest.approx(expected(z, ends), rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("shape", [(9, 11), (3, EXACT_VALUES)], ids=str)
def test_the_compared_values_come_with_the_sums(shape: tuple[int, ...]) -> None:
    z = drawn(*shape)
    chosen = bring_over(z, None, 2, 3).chosen
    assert np.array_equal(chosen, z[:2, ::3].numpy())
