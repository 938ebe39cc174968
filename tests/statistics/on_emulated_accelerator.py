"""Statistics of layers on the emulated accelerator, reduced there; raises where they are not."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from init_bench.statistics.layer_statistics import describe, describe_weight
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator

SHAPES = ((30, 40), (8, 40_000), (3000, 100))


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


def reduced_there(shape: tuple[int, ...]) -> None:
    """Compare with the CPU's statistics, and count what was brought over."""
    layer = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = layer.to(DEVICE)
        with Transfers() as transfers:
            found = describe(there, (-1.0, 1.0))
        assert transfers.number == 1, "the sums and the compared values"
        weight = describe_weight(there)
    assert found == pytest.approx(describe(layer, (-1.0, 1.0)), rel=1e-5, abs=1e-6, nan_ok=True)
    assert weight == pytest.approx(describe_weight(layer), rel=1e-5, abs=1e-6, nan_ok=True)


def main() -> None:
    """Compare layers of every way in which they are cut."""
    for shape in SHAPES:
        reduced_there(shape)
