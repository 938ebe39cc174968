"""Diagnose on the emulated accelerator as on one without float64; raises where it makes one."""

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from init_bench.diagnosis.evidence.collection import Evidence, collect_evidence
from init_bench.diagnosis.recognition import structures
from init_bench.statistics.sums import accelerator as tiles
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator, EmulatedTensor

NUMBERS = ("std", "sample_std", "input_std", "input_sample_std", "gradient", "weight_gain")


class NoFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses tensors of float64 on the emulated accelerator, as mps does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        for leaf in tree_iter(made):
            if isinstance(leaf, EmulatedTensor) and leaf.dtype == torch.float64:
                raise AssertionError(f"{func} made a tensor of float64 on {leaf.device}")
        return made


def network() -> nn.Module:
    """Return a network of every kind of weight that has its own way into the evidence."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 30),
        nn.ReLU(),
        nn.utils.parametrizations.weight_norm(nn.Linear(30, 30)),
        nn.Unflatten(1, (3, 10)),
        nn.TransformerEncoderLayer(10, 2, 20, dropout=0.0, batch_first=True),
        nn.ConvTranspose1d(3, 4, 3),
        nn.Flatten(),
        nn.Linear(48, 3),
    )


def evidence(device: Any) -> Evidence:
    """Return the evidence of one pass on ``device``."""
    inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(1))
    return collect_evidence(network().to(device), inputs.to(device), None, squares)


def squares(output: Tensor, targets: object) -> Tensor:
    return output.square().mean()


def main() -> None:
    """Compare the evidence of both devices, the sums made without float64."""
    here = evidence("cpu")
    with (
        mock.patch.object(tiles, "exact", Tensor.float),
        mock.patch.object(structures, "exact", Tensor.float),
        EmulatedAccelerator(),  # type: ignore[no-untyped-call]
        NoFloat64(),  # type: ignore[no-untyped-call]
    ):
        there = evidence(DEVICE)
    for name in NUMBERS:
        expected = here.profile[name].tolist()
        assert there.profile[name].tolist() == pytest.approx(expected, rel=1e-3, nan_ok=True), name
    assert (there.weights["looks_like"] == here.weights["looks_like"]).all()
