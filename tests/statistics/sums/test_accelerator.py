"""Sums by torch's operations: taken where the layer is, brought over at once, however it is cut."""

from dataclasses import asdict

import pytest

from init_bench.statistics.sums import accelerator as tiles
from init_bench.statistics.sums.accelerator import EXACT_VALUES, tile_sums
from tests.statistics.sums.reference import drawn, expected


@pytest.mark.parametrize("shape", [(8, 40_000), (3000, 100), (20, 30)], ids=str)
def test_how_a_layer_is_cut_changes_nothing(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = drawn(*shape)
    whole = tile_sums(layer)
    monkeypatch.setattr(tiles, "_PIECE", 1000)
    assert asdict(tile_sums(layer)) == pytest.approx(asdict(whole), rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("ends", [None, (-0.5, 0.5)])
@pytest.mark.parametrize("shape", [(9, 11), (200, 5), (3, EXACT_VALUES)], ids=str)
def test_sums_are_those_of_the_values(
    shape: tuple[int, ...], ends: tuple[float, float] | None
) -> None:
    z = drawn(*shape).relu()
    assert asdict(tile_sums(z, ends)) == pytest.approx(expected(z, ends), rel=1e-5, nan_ok=True)
