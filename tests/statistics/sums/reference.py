"""Sums of a layer by plain float64 operations, to compare with."""

import math

import torch
from torch import Tensor


def drawn(*shape: int) -> Tensor:
    """Return standard normal values from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def expected(z: Tensor, ends: tuple[float, float] | None) -> dict[str, float]:
    """Return what the statistics of a layer are made of."""
    exact = z.double()
    near = int((z <= ends[0]).sum() + (z >= ends[1]).sum()) if ends else math.nan
    return {
        "low": z.min().item(),
        "high": z.max().item(),
        "zeros": int((z == 0).sum()),
        "near_ends": near,
        "constant_units": int((z == z[0]).all(dim=0).sum()),
        "mean": exact.mean().item(),
        "within": exact.var(dim=0, correction=0).mean().item(),
        "between": exact.mean(dim=0).var(correction=0).item(),
    }
