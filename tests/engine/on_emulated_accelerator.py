"""Train one chunk on the emulated accelerator and on the CPU; exit 1 where they differ.

A process of its own: registering a back end cannot be undone.
"""

import sys

import numpy as np
import pandas as pd
import torch

from init_bench.datasets import Dataset
from init_bench.engine import train_chunk
from init_bench.grid import Grid
from tests.emulated_accelerator import DEVICE, EmulatedAccelerator


def main() -> int:
    """Return 0 where both devices give the same curves, to the bit, and the same tables."""
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    images = torch.rand((300, 12), generator=g)
    labels = torch.randint(0, 4, (300,), generator=g)
    data = Dataset(images, labels, images[:50], labels[:50], classes=4, sha256="")
    axes = {"width": 6, "depth": 3, "batch_size": 16, "steps": 30, "seed": [0, 1]}
    cells = Grid(init=["he_normal", "torch.default"], activation=["relu", "tanh"], **axes).cells
    cells.sort(key=lambda cell: cell.seed)
    here = train_chunk(cells, data, torch.device("cpu"))
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = train_chunk(cells, data, DEVICE)
    same = [np.array_equal(a.losses, b.losses) for a, b in zip(here, there, strict=True)]
    # Not to the bit: eigenvalues come from another LAPACK routine where the emulation is active.
    for a, b in zip(here, there, strict=True):
        for x, y in zip(a.layers, b.layers, strict=True):
            pd.testing.assert_frame_equal(x, y, rtol=1e-9, atol=1e-12)
    accuracies = [a.test_accuracy == b.test_accuracy for a, b in zip(here, there, strict=True)]
    return 0 if all(same) and all(accuracies) else 1


if __name__ == "__main__":
    sys.exit(main())
