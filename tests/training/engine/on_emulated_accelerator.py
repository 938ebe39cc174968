"""Train one chunk on the emulated accelerator and on the CPU; raises where they differ."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from init_bench.datasets import Dataset
from init_bench.datasets.column_order import sort_columns
from init_bench.statistics.histogram import Histogram
from init_bench.training.engine.minibatches import padded_minibatches
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.engine.trainer import engine_of, train_chunk
from init_bench.training.grid import Grid
from init_bench.training.networks import network_of
from tests.emulated_accelerator import DEVICE, TRANSFERS, EmulatedAccelerator

INITS = ["he_normal", "torch.default", "krahenbuhl", "metainit(steps=2)"]


def main() -> None:
    """Compare the curves and tables of both devices."""
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    images = torch.rand((300, 144), generator=g)
    labels = torch.randint(0, 4, (300,), generator=g)
    data = Dataset(
        sort_columns(images), labels, images[:50], labels[:50], 4, sha256="", image=(1, 12, 12)
    )
    assert plain(data)
    assert any_module(data, norm="batch", width=6)
    assert any_module(data, model="lenet")
    assert any_module(data, init="mup(base_width=64)", optimizer="adam", width=24)
    assert any_module(data, model="tests.networks:noisy")
    assert any_module(real_valued(data), model="siren", init="siren", lr=1e-4)
    assert losses_around_an_update(data)
    assert transfers(data, width=6) == {"copy in": 2, "copy out": 2}
    assert transfers(data, model="lenet") == {"copy in": 2, "copy out": 2}
    assert numbers_read(data) == 1 + 2, "the columns in use, and whether each cell is finite"


def losses_around_an_update(data: Dataset) -> bool:
    """Compare the stack of the CPU, which the book's losses after an update come from."""
    cells = Grid(seed=[0, 1], width=6, batch_size=16).cells

    def losses(device: torch.device) -> torch.Tensor:
        there = data.to(device)
        networks = [network_of(cell, there).to(device) for cell in cells]
        stack = StackedMLP(cells, networks, there.sorted_columns.order)
        batch = next(padded_minibatches(there, [0, 1], 16))
        return torch.stack([stack.step(batch), stack.losses(batch)]).cpu()

    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        found = losses(DEVICE)
    return torch.allclose(found, losses(torch.device("cpu")), rtol=1e-5)


def real_valued(data: Dataset) -> Dataset:
    """Return the samples of ``data``, no images any more, with a real value to learn of each."""
    targets, test_targets = data.inputs[:, :1], data.test_inputs[:, :1]
    return replace(data, targets=targets, test_targets=test_targets, classes=1, image=())


def transfers(data: Dataset, **axes: Any) -> dict[str, int]:
    """Count what makes host or device wait in 20 steps whose losses are read twice."""
    cells = Grid(seed=[0, 1], batch_size=16, optimizer="adam", **axes).cells
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = data.to(DEVICE)
        engine = engine_of(cells, [network_of(c, there).to(DEVICE) for c in cells], there)
        TRANSFERS.clear()
        for _ in range(2):
            engine.steps(10).cpu()
    return dict(Counter(TRANSFERS))


def numbers_read(data: Dataset) -> int:
    """Count the numbers that the host reads one by one while it trains two cells."""
    cells = Grid(seed=[0, 1], batch_size=16, steps=3, capture_at=[], width=6).cells
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = data.to(DEVICE)
        TRANSFERS.clear()
        train_chunk(cells, there, DEVICE)
    return TRANSFERS.count("read a number")


def any_module(data: Dataset, **axes: Any) -> bool:
    """Return whether the general engine's curves agree: the device may stack what the CPU does
    not, so to rounding."""
    looks: dict[str, Any] = {"capture_at": [0, 3], "init": ["he_normal", "lsuv"]}
    cells = Grid(seed=[0, 1], batch_size=16, steps=3, **looks | axes).cells
    here = train_chunk(cells, data, torch.device("cpu"))
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = train_chunk(cells, data, DEVICE)
    return all(
        np.allclose(a.losses, b.losses, rtol=1e-5) and b.status == "ok"
        for a, b in zip(here, there, strict=True)
    )


def plain(data: Dataset) -> bool:
    """Return whether the engine of accelerators agrees with the CPU's, to rounding."""
    axes: dict[str, Any] = {"width": 6, "depth": 3, "batch_size": 16, "steps": 4, "seed": [0, 1]}
    cells = [*Grid(init=INITS, **axes).cells, *Grid(activation="tanh", **axes).cells]
    cells.sort(key=lambda cell: cell.seed)
    here = train_chunk(cells, data, torch.device("cpu"))
    with EmulatedAccelerator():  # type: ignore[no-untyped-call]
        there = train_chunk(cells, data, DEVICE)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a.losses, b.losses, rtol=1e-4, err_msg=a.cell.init)
        x, y = pd.DataFrame(a.layers), pd.DataFrame(b.layers)
        for mine, other in zip(x.pop("histogram"), y.pop("histogram"), strict=True):
            same_histogram(mine, other)
        pd.testing.assert_frame_equal(x, y, rtol=1e-3, atol=1e-5)
    return all(a.test_accuracy == b.test_accuracy for a, b in zip(here, there, strict=True))


def same_histogram(here: Histogram | None, there: Histogram | None) -> None:
    """Assert that two histograms agree but for values that rounding moves over a bin's edge."""
    if here is None or there is None:
        assert here is there
        return
    assert math.isclose(here.rms, there.rms, rel_tol=1e-3), (here, there)
    np.testing.assert_allclose(here.counts, there.counts, rtol=0, atol=2)
    assert sum(here.counts) == sum(there.counts)
    assert here.whole == there.whole
