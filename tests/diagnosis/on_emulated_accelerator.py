"""Check coordinates on the emulated accelerator; raises where its numbers are not the CPU's."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import init_bench as ib
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator


def dropping(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.Dropout(0.5), nn.Linear(width, 1))


def squares(output: Tensor, targets: Tensor) -> Tensor:
    return (output - targets).square().mean()


def slopes(device: Any) -> pd.DataFrame:
    """Return the table of a check at rate 0, where nothing but a mask could move an output."""
    inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    batch = inputs.to(device), inputs[:, :1].to(device)
    still = lambda model: torch.optim.SGD(model.parameters(), lr=0.0)  # noqa: E731
    widths = (8, 16, 32)
    found = ib.coord_check(dropping, widths, batch, loss_fn=squares, optimizer=still, seeds=2)
    return found.table


def main() -> None:
    """Compare both devices: masks are the same at every step, and the same on both."""
    here = slopes("cpu")
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = slopes(DEVICE)
    pd.testing.assert_frame_equal(here, there)
