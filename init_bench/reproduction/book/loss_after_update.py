"""Measure the training loss after the update of its step, as the book notes it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from init_bench import datasets
from init_bench.datasets import Dataset
from init_bench.training.cell import Cell
from init_bench.training.chunks import chunks
from init_bench.training.engine.minibatches import padded_minibatches
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.intra_op import one_thread
from init_bench.training.networks import network_of
from init_bench.training.tables import LAST_STEPS


def losses_around_updates(cells: Sequence[Cell], device: torch.device) -> pd.DataFrame:
    """Train plain MLPs on one data set; return their losses before and after an update.

    A run's tables hold the loss before the update of each step. This trains the same cells once
    more, and after each of the last 50 updates takes the loss on the same minibatch again.

    Returns:
        ``init, activation, seed, before, after``: a row per cell, means of the last 50 steps.
    """
    data = datasets.load(cells[0].dataset).to(device)
    workers = os.cpu_count() or 1 if device.type == "cpu" else 1
    with (
        one_thread(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        tables = list(pool.map(partial(_train, data=data), chunks(cells, workers)))
    return pd.concat(tables, ignore_index=True)


def _train(cells: Sequence[Cell], data: Dataset) -> pd.DataFrame:
    """Return the rows of one chunk."""
    networks = [network_of(cell, data).to(data.device) for cell in cells]
    stack = StackedMLP(cells, networks, data.sorted_columns.order)
    batches = padded_minibatches(data, [cell.seed for cell in cells], cells[0].batch_size)
    before, after = [], []
    for step, batch in zip(range(cells[0].steps), batches, strict=False):
        losses = stack.step(batch)
        if step >= cells[0].steps - LAST_STEPS:
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
