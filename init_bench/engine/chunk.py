"""Train one chunk: draw the weights, step, look at the layers, test."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from init_bench.datasets import Dataset
from init_bench.engine.minibatches import Minibatch, minibatches
from init_bench.engine.stacked_mlp import StackedMLP
from init_bench.grid import Cell
from init_bench.models import MODELS, build
from init_bench.recording import capture
from init_bench.tables import CellResult

CAPTURED_SAMPLES = 512
"""Layers are looked at on this many samples: the first of the training part."""

TICK_STEPS = 50
"""Steps between two reports of progress, each a chance to stop."""

SHARED_UNITS = 16
"""Fewest units of the first layer for which cells share a stack. Its product is one for all cells
of a seed; for fewer units the matrix library takes other routes for one cell than for many."""

Tick = Callable[[int], None]
"""Called with the number of cell-steps done since the last call; may raise to stop."""


def train_chunk(
    cells: Sequence[Cell], data: Dataset, device: torch.device, tick: Tick = lambda steps: None
) -> list[CellResult]:
    """Train the cells of one cohort as one stack and return what was measured, cell by cell.

    A loss, a weight or a bias that is not finite makes its cell ``diverged``. A cell whose loss
    is not finite leaves the stack at the next multiple of 50 steps, where its layers are looked
    at once more; the others go on. Same bits for a cell whatever shares the chunk holds with one
    intra-op thread, which the executors see to.
    """
    data = data.to(device)
    units = cells[0].width if cells[0].depth > 1 else data.classes
    stacks = [cells] if units >= SHARED_UNITS else [[cell] for cell in cells]
    return [result for stack in stacks for result in _Training(stack, data).run(tick)]


class _Training:
    """The cells of a chunk on their way: stack, networks to look at, what was measured so far."""

    def __init__(self, cells: Sequence[Cell], data: Dataset) -> None:
        self.cells, self.data = cells, data
        self.device = data.inputs.device
        networks = [_network(cell, data) for cell in cells]
        self.stack = StackedMLP(cells, networks, data.sorted_columns.order)
        self.networks = [network.to(self.device) for network in networks]
        self.alive = list(range(len(cells)))
        self.curves = np.full((cells[0].steps, len(cells)), np.nan, dtype=np.float32)
        self.frames: list[list[pd.DataFrame]] = [[] for _ in cells]

    def run(self, tick: Tick) -> list[CellResult]:
        """Do all steps in pieces of ``TICK_STEPS``; the losses are read back once a piece."""
        started = time.perf_counter()
        steps, first = self.cells[0].steps, self.cells[0]
        batches = minibatches(self.data, (cell.seed for cell in self.cells), first.batch_size)
        for start in range(0, steps, TICK_STEPS):
            stop = min(start + TICK_STEPS, steps)
            if self.alive:
                self._piece(range(start, stop), batches)
            tick(len(self.cells) * (stop - start))
        if steps in first.captured_steps:
            self._look(self.alive, steps)
        self._load(self.alive)
        return self._results((time.perf_counter() - started) / len(self.cells))

    def _results(self, seconds: float) -> list[CellResult]:
        return [
            CellResult(
                cell=cell,
                status="ok" if np.isfinite(curve).all() and _is_finite(network) else "diverged",
                losses=_until_divergence(curve),
                test_accuracy=_accuracy(network, self.data),
                train_seconds=seconds,
                device=str(self.device),
                layers=frames,
            )
            for cell, curve, network, frames in zip(
                self.cells, self.curves.T, self.networks, self.frames, strict=True
            )
        ]

    def _piece(self, steps: range, batches: Iterator[dict[int, Minibatch]]) -> None:
        """Do some steps; then let cells whose loss is not finite leave."""
        losses = []
        for step in steps:
            if step in self.cells[0].captured_steps:
                self._look(self.alive, step)
            losses.append(self.stack.step(next(batches)))
        read = torch.stack(losses).cpu().numpy()
        self.curves[steps.start : steps.stop, self.alive] = read
        finite = np.isfinite(read).all(axis=0)
        if not finite.all():
            self._look(
                [i for i, fine in zip(self.alive, finite, strict=True) if not fine], steps.stop
            )
            kept = np.flatnonzero(finite).tolist()
            if kept:
                self.stack.keep(kept)
            self.alive = [self.alive[i] for i in kept]

    def _look(self, chosen: Sequence[int], step: int) -> None:
        self._load(chosen)
        for i in chosen:
            self.frames[i].append(_layer_table(self.networks[i], self.data).assign(step=step))

    def _load(self, chosen: Sequence[int]) -> None:
        """Bring the networks of these cells, all still in the stack, up to date."""
        for i in chosen:
            self.stack.load_into(self.networks[i], self.alive.index(i))


def _network(cell: Cell, data: Dataset) -> nn.Module:
    """Return the cell's network on the CPU with its initial weights."""

    def factory() -> nn.Module:
        return MODELS[cell.model](
            data.features, data.classes, cell.width, cell.depth, cell.activation, bias=cell.bias
        )

    return build(factory, cell.init, cell.seed)


def _layer_table(network: nn.Module, data: Dataset) -> pd.DataFrame:
    """Return the layer statistics, gradients included, on the first training samples."""
    inputs, targets = data.inputs[:CAPTURED_SAMPLES], data.targets[:CAPTURED_SAMPLES]
    with capture(network) as record:
        loss = nn.functional.cross_entropy(network(inputs), targets)
        torch.autograd.grad(loss, list(network.parameters()))
    return record.table()


def _is_finite(network: nn.Module) -> bool:
    return all(bool(p.detach().isfinite().all().item()) for p in network.parameters())


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
