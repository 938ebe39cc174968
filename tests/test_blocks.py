"""Sums of a layer: taken where the layer is, brought over at once, the same however it is cut."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from init_bench import blocks
from init_bench.blocks import EXACT_VALUES, sums
from init_bench.statistics import describe, describe_weight
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator


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


class Transfers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts tensors that are copied from the emulated accelerator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        to = (kwargs or {}).get("device")
        self.number += name == "_local_scalar_dense" or (name == "_to_copy" and str(to) == "cpu")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shape", [(30, 40), (8, 40_000), (3000, 100)], ids=str)
def test_a_layer_on_a_device_is_reduced_there(shape: tuple[int, ...]) -> None:
    layer = drawn(*shape)
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = layer.to(DEVICE)
        with Transfers() as transfers:
            found = describe(there, (-1.0, 1.0))
        assert transfers.number == 2, "the sums, and the products of the compared samples"
        weight = describe_weight(there)
    assert found == pytest.approx(describe(layer, (-1.0, 1.0)), rel=1e-5, abs=1e-6, nan_ok=True)
    assert weight == pytest.approx(describe_weight(layer), rel=1e-5, abs=1e-6, nan_ok=True)
