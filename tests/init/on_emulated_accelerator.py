"""Initialize on the emulated accelerator and on the CPU; raises where the weights differ."""

import torch
from torch import nn

from init_bench.init import initialize
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator

BATCH = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(3, (16,), generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    """Return a network with a norm, dropout and a transposed convolution."""
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Unflatten(1, (4, 2)),
        nn.ConvTranspose1d(4, 5, 2),
        nn.Flatten(),
        nn.Linear(15, 3),
    )


def same(spec: str) -> bool:
    """Return whether both devices hold the same values, to the bit where nothing was run."""
    here = network()
    given = {"loss_fn": nn.functional.cross_entropy} if "init(" in spec else {}
    initialize(here, spec, batch=(BATCH, TARGETS), **given)  # type: ignore[arg-type]
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there, batch = network().to(DEVICE), (BATCH.to(DEVICE), TARGETS.to(DEVICE))
        initialize(there, spec, batch=batch, **given)  # type: ignore[arg-type]
        found = [value.detach().cpu() for value in there.parameters()]
    pairs = [(a.detach(), b) for a, b in zip(here.parameters(), found, strict=True)]
    return all(a.device == b.device and torch.allclose(a, b, rtol=1e-5) for a, b in pairs)


def main() -> None:
    """Compare the weights of initializers of every kind."""
    torch.set_num_threads(1)
    specs = ("he_normal", "torch.default", "torch.orthogonal", "zero", "siren", "lsuv")
    wrong = [spec for spec in (*specs, "krahenbuhl", "gradinit(steps=3)") if not same(spec)]
    assert not wrong
