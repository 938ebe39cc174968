"""Sums of a layer: taken where the layer is, brought over at once, the same however it is cut."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from init_bench import blocks
from init_bench.blocks import EXACT_VALUES, sums
from init_bench.statistics import describe


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(8, 40_000), (3000, 100), (20, 30)], ids=str)
def test_how_a_layer_is_cut_changes_nothing(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = drawn(*shape)
    whole = describe(layer)
    monkeypatch.setattr(blocks, "_piece", lambda device: 1000)
    assert describe(layer) == pytest.approx(whole, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("ends", [None, (-0.5, 0.5)])
@pytest.mark.parametrize("shape", [(9, 11), (200, 5), (2, EXACT_VALUES)], ids=str)
def test_sums_are_those_of_the_values(
    shape: tuple[int, ...], ends: tuple[float, float] | None
) -> None:
    z = drawn(*shape).relu()
    found, exact = sums(z, ends), z.double()
    assert (found.low, found.high) == (z.min().item(), z.max().item())
    assert found.zeros == (z == 0).sum()
    assert found.near_ends == (((z <= -0.5) | (z >= 0.5)).sum() if ends else 0)
    assert found.constant_units == (z == z[0]).all(dim=0).sum()
    assert found.mean == pytest.approx(exact.mean().item(), rel=1e-6)
    assert found.within == pytest.approx(exact.var(dim=0, correction=0).mean().item(), rel=1e-5)
    assert found.between == pytest.approx(exact.mean(dim=0).var(correction=0).item(), rel=1e-5)


def test_a_layer_on_a_device_is_reduced_there() -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "tests.statistics_on_emulated_accelerator"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
