"""Train one chunk: draw the weights, step, look at the layers, test."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.datasets import Dataset
from init_bench.engine.minibatches import minibatches
from init_bench.engine.stacked_mlp import StackedMLP
from init_bench.grid import Cell
from init_bench.models import MODELS, build
from init_bench.recording import capture
from init_bench.tables import CellResult

CAPTURED_SAMPLES = 512
"""Layers are looked at on this many samples: the first of the training part."""

TICK_STEPS = 50
"""Steps between two reports of progress, each a chance to stop."""

Tick = Callable[[int], None]
"""Called with the number of cell-steps done since the last call; may raise to stop."""


def train_chunk(
    cells: Sequence[Cell], data: Dataset, device: torch.device, tick: Tick = lambda steps: None
) -> list[CellResult]:
    """Train the cells of one cohort as one stack and return what was measured, cell by cell.

    A loss, a weight or a bias that is not finite makes its cell ``diverged``; the others go on.
    Same bits for a cell whatever shares the chunk holds with one intra-op thread, which the
    executors see to.
    """
    started = time.perf_counter()
    data = data.to(device)
    networks = [_network(cell, data) for cell in cells]
    stack = StackedMLP(cells, networks, device)
    networks = [network.to(device) for network in networks]
    losses, frames = _train(cells, stack, networks, data, tick)
    curves, finite = losses.cpu().numpy(), stack.finite()
    accuracies = [_accuracy(network, data) for network in networks]
    seconds = (time.perf_counter() - started) / len(cells)
    return [
        CellResult(
            cell=cell,
            status="ok" if finite[i] and np.isfinite(curves[:, i]).all() else "diverged",
            losses=_until_divergence(curves[:, i]),
            test_accuracy=accuracies[i],
            train_seconds=seconds,
            device=str(device),
            layers=frames[i],
        )
        for i, cell in enumerate(cells)
    ]


def _network(cell: Cell, data: Dataset) -> nn.Module:
    """Return the cell's network on the CPU with its initial weights."""

    def factory() -> nn.Module:
        return MODELS[cell.model](
            data.features, data.classes, cell.width, cell.depth, cell.activation
        )

    return build(factory, cell.init, cell.seed)


def _train(
    cells: Sequence[Cell],
    stack: StackedMLP,
    networks: Sequence[nn.Module],
    data: Dataset,
    tick: Tick,
) -> tuple[Tensor, list[list[pd.DataFrame]]]:
    """Run all steps; return losses ``(steps, G)`` and each cell's layer tables."""
    steps, looks = cells[0].steps, set(cells[0].captured_steps)
    losses = torch.empty((steps, len(cells)), dtype=torch.float32).to(data.inputs.device)
    frames: list[list[pd.DataFrame]] = [[] for _ in cells]
    batches = minibatches(data, (cell.seed for cell in cells), cells[0].batch_size)
    for step in range(steps + 1):
        if step in looks:
            for i, network in enumerate(networks):
                stack.load_into(network, i)
                frames[i].append(_look(network, data).assign(step=step))
        if step < steps:
            losses[step] = stack.step(*next(batches))
        if step and (step % TICK_STEPS == 0 or step == steps):
            tick(len(cells) * (step - (step - 1) // TICK_STEPS * TICK_STEPS))
    for i, network in enumerate(networks):
        stack.load_into(network, i)
    return losses, frames


def _look(network: nn.Module, data: Dataset) -> pd.DataFrame:
    """Return the layer statistics, gradients included, on the first training samples."""
    inputs, targets = data.inputs[:CAPTURED_SAMPLES], data.targets[:CAPTURED_SAMPLES]
    with capture(network) as record:
        loss = nn.functional.cross_entropy(network(inputs), targets)
        torch.autograd.grad(loss, list(network.parameters()))
    return record.table()


def _accuracy(network: nn.Module, data: Dataset) -> float:
    """Return the share of test samples classified rightly; nan logits are wrong."""
    with torch.no_grad():
        logits = network(data.test_inputs)
    right = (logits.argmax(dim=1) == data.test_targets) & logits.isfinite().all(dim=1)
    return float(right.sum().item()) / len(right)


def _until_divergence(
    losses: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the curve up to and with its first loss that is not finite."""
    broken = np.flatnonzero(~np.isfinite(losses))
    return losses[: broken[0] + 1].copy() if len(broken) else losses.copy()
