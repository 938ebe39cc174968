"""Measure the training loss after the update of its step, as the book notes it."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from init_bench import datasets
from init_bench.datasets import Dataset
from init_bench.training.cell import Cell
from init_bench.training.chunks import chunks
from init_bench.training.engine.kept_weights import State
from init_bench.training.engine.minibatches import padded_minibatches
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.intra_op import one_thread
from init_bench.training.networks import network_of
from init_bench.training.tables import LAST_STEPS


def first_noted(steps: int) -> int:
    """Return the first step whose losses count, of a training of so many."""
    return max(0, steps - LAST_STEPS)


def losses_around_updates(
    cells: Sequence[Cell], device: torch.device, states: Mapping[str, State] | None = None
) -> pd.DataFrame:
    """Train plain MLPs on one data set; return their losses before and after an update.

    A run's tables hold the loss before the update of each step. This does the last 50 steps once
    more, and after each takes the loss on the same minibatch again.

    Args:
        cells: all of as many steps.
        device: to train on.
        states: weights before step ``first_noted``, by key of a cell. Cells without are trained
            from the start.

    Returns:
        ``init, activation, seed, before, after``: a row per cell, means of the last 50 steps.
    """
    data = datasets.load(cells[0].dataset).to(device)
    known = states or {}
    workers = os.cpu_count() or 1 if device.type == "cpu" else 1
    parts = [
        chunk
        for has_state in (True, False)
        for chunk in chunks([c for c in cells if (c.key in known) is has_state], workers)
    ]
    with (
        one_thread(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        tables = list(pool.map(partial(_train, data=data, states=known), parts))
    rows = pd.concat(tables)
    keys = [cell.key for part in parts for cell in part]
    return rows.set_index(pd.Index(keys)).loc[[cell.key for cell in cells]].reset_index(drop=True)


def _train(cells: Sequence[Cell], data: Dataset, states: Mapping[str, State]) -> pd.DataFrame:
    """Return the rows of one chunk, whose cells all have a state or none has."""
    steps = cells[0].steps
    start = first_noted(steps) if cells[0].key in states else 0
    networks = [network_of(cell, data) for cell in cells]
    for cell, network in zip(cells, networks, strict=True):
        if cell.key in states:
            network.load_state_dict(states[cell.key])
    stack = StackedMLP(
        cells, [network.to(data.device) for network in networks], data.sorted_columns.order
    )
    seeds, size = [cell.seed for cell in cells], cells[0].batch_size
    batches = padded_minibatches(data, seeds, size, start=start)
    before, after = [], []
    for step, batch in zip(range(start, steps), batches, strict=False):
        losses = stack.step(batch)
        if step >= first_noted(steps):
            before.append(losses)
            after.append(stack.losses(batch))
    return pd.DataFrame(
        {
            "init": [cell.init for cell in cells],
            "activation": [cell.activation for cell in cells],
            "seed": [cell.seed for cell in cells],
            "before": _mean(before),
            "after": _mean(after),
        }
    )


def _mean(losses: list[Tensor]) -> list[float]:
    means: list[float] = torch.stack(losses).double().mean(dim=0).tolist()
    return means
