"""Train one chunk: draw the weights, choose the engine, step, capture the layers, test."""

import gc
import itertools
import logging
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from init_bench.datasets import Dataset
from init_bench.hooks.layer_call import Row
from init_bench.training.cell import Cell
from init_bench.training.engine.accelerator_mlp import AcceleratorMLP
from init_bench.training.engine.device_steps import BLOCK_STEPS, DeviceSteps
from init_bench.training.engine.host_steps import HostSteps
from init_bench.training.engine.kept_weights import wanted_of
from init_bench.training.engine.minibatches import minibatches, padded_minibatches
from init_bench.training.engine.modules import StackedModules, stack_modules
from init_bench.training.engine.network_measures import captured_rows, tested_accuracies
from init_bench.training.engine.out_of_memory import ran_out_of_memory
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.engine.update_rule import CellFactors, has_rates
from init_bench.training.networks import input_shape, starts_of
from init_bench.training.progress import ProgressCallback
from init_bench.training.tables import CellResult, until_divergence

log = logging.getLogger(__name__)


SHARED_UNITS = 16
"""Fewest units of the first layer for which cells share a stack. The first layer is one product for
all cells of a seed; for fewer units the matrix library computes one cell otherwise than many."""


def train_chunk(
    cells: Sequence[Cell],
    data: Dataset,
    device: torch.device,
    progress: ProgressCallback = lambda steps: None,
) -> list[CellResult]:
    """Train the cells of one cohort as one stack and return what was measured, cell by cell.

    A cell is ``diverged`` if a loss, a weight or a bias of it is not finite. A cell whose loss is
    not finite is dropped from the stack at the next multiple of 50 steps, where its layers are
    captured once more; the others go on. With one intra-op thread, which the executors see to, a
    cell gets the same bits whichever cells share its chunk.
    """
    data, first = data.to(device), cells[0]
    units = first.width if first.depth > 1 else data.classes
    separate = first.is_plain_mlp and units < SHARED_UNITS and device.type == "cpu"
    stacks = [[cell] for cell in cells] if separate else [cells]
    return [result for stack in stacks for result in _trained(stack, data, progress)]


def _trained(cells: Sequence[Cell], data: Dataset, progress: ProgressCallback) -> list[CellResult]:
    """Train a stack; one that does not fit into the device's memory is halved until it does."""
    done = 0

    def counted(steps: int) -> None:
        nonlocal done
        done += steps
        progress(steps)

    try:
        return _Training(cells, data).run(counted)
    except RuntimeError as error:
        if len(cells) == 1 or not ran_out_of_memory(error):
            raise
    log.warning("%d cells do not fit into the memory of %s: halved", len(cells), data.device)
    progress(-done)
    gc.collect()
    torch.accelerator.memory.empty_cache()
    half = len(cells) // 2
    return _trained(cells[:half], data, progress) + _trained(cells[half:], data, progress)


def engine_of(
    cells: Sequence[Cell],
    networks: Sequence[nn.Module],
    data: Dataset,
    factors: CellFactors = (),
) -> HostSteps | DeviceSteps:
    """Return the engine that steps the networks.

    Networks and data are on one device. The engine may use the networks themselves. MLPs whose
    parameters have rates of their own are modules like any other on an accelerator, whose engine
    of MLPs keeps weight and bias in one matrix.

    Args:
        factors: of the rates of each network's parameters; empty if none has any.
    """
    seeds, size = [cell.seed for cell in cells], cells[0].batch_size
    on_cpu = data.device.type == "cpu"
    if cells[0].is_plain_mlp and on_cpu:
        mlps = StackedMLP(cells, networks, data.sorted_columns.order, factors)
        batches = padded_minibatches(data, seeds, size, precision=cells[0].precision)
        return HostSteps(mlps, batches)
    if cells[0].is_plain_mlp and not has_rates(factors):
        return _accelerated(cells, networks, data)
    shape = input_shape(cells[0], data)
    stack = stack_modules(cells, networks, data.inputs.view(-1, *shape), data.targets, factors)
    if isinstance(stack, StackedModules):
        return DeviceSteps(stack, data, size, range(len(cells)))
    return HostSteps(stack, minibatches(data, seeds, size, shape))


def _accelerated(
    cells: Sequence[Cell], networks: Sequence[nn.Module], data: Dataset
) -> DeviceSteps:
    """Return the engine of plain MLPs on an accelerator, which wants cells in its own order."""
    order = sorted(range(len(cells)), key=lambda i: (cells[i].activation, cells[i].seed))
    stack = AcceleratorMLP([cells[i] for i in order], [networks[i] for i in order], data)
    return DeviceSteps(
        stack, data, cells[0].batch_size, [order.index(i) for i in range(len(cells))]
    )


class _Training:
    """Train one chunk: hold its stack, its networks, and what was measured so far."""

    def __init__(self, cells: Sequence[Cell], data: Dataset) -> None:
        self.cells, self.data = cells, data
        self.device, self.shape = data.device, input_shape(cells[0], data)
        starts = starts_of(cells, data)
        self.networks = [network.to(self.device) for network, _ in starts]
        self.engine = engine_of(cells, self.networks, data, [factors for _, factors in starts])
        self.active = list(range(len(cells)))
        self.curves = np.full((cells[0].steps, len(cells)), np.nan, dtype=np.float32)
        self.layer_rows: list[list[Row]] = [[] for _ in cells]
        self.wanted = wanted_of(cells)

    def run(self, progress: ProgressCallback) -> list[CellResult]:
        """Do all steps in blocks of ``BLOCK_STEPS``; the losses are read back once a block."""
        started = time.perf_counter()
        steps, first = self.cells[0].steps, self.cells[0]
        for start in range(0, steps, BLOCK_STEPS):
            stop = min(start + BLOCK_STEPS, steps)
            if self.active:
                self._do_block(range(start, stop))
            progress(len(self.cells) * (stop - start))
        if steps in first.captured_steps:
            self._capture(self.active, steps)
        self._update_networks(self.active)
        return self._results((time.perf_counter() - started) / len(self.cells))

    def _results(self, seconds: float) -> list[CellResult]:
        accuracies = tested_accuracies(self.networks, self.cells, self.data, self.shape)
        return [
            CellResult(
                cell=cell,
                status="ok" if np.isfinite(curve).all() and _is_finite(network) else "diverged",
                losses=until_divergence(curve),
                test_accuracy=accuracy,
                train_seconds=seconds,
                device=str(self.device),
                layers=rows,
            )
            for cell, curve, network, rows, accuracy in zip(
                self.cells, self.curves.T, self.networks, self.layer_rows, accuracies, strict=True
            )
        ]

    def _do_block(self, steps: range) -> None:
        """Do some steps; then drop the cells whose loss is not finite."""
        captured = self.cells[0].captured_steps
        pauses = {*captured, *(wanted.step for wanted in self.wanted)}.intersection(steps)
        losses = []
        for start, stop in itertools.pairwise(sorted({steps.start, *pauses, steps.stop})):
            if start in captured:
                self._capture(self.active, start)
            self._keep_weights(start)
            losses.append(self.engine.steps(stop - start))
        read = torch.cat(losses).cpu().numpy()
        self.curves[steps.start : steps.stop, self.active] = read
        finite = np.isfinite(read).all(axis=0)
        if not finite.all():
            self._drop(finite, steps.stop)

    def _drop(self, finite: np.ndarray[tuple[int], np.dtype[np.bool_]], step: int) -> None:
        """Drop the active cells that are not finite; capture their layers where any are wanted."""
        broken = [i for i, fine in zip(self.active, finite, strict=True) if not fine]
        if self.cells[0].captured_steps:
            self._capture(broken, step)
        else:
            self._update_networks(broken)
        kept = np.flatnonzero(finite).tolist()
        if kept:
            self.engine.keep(kept)
        self.active = [self.active[i] for i in kept]

    def _capture(self, chosen: Sequence[int], step: int) -> None:
        self._update_networks(chosen)
        networks, cells = [self.networks[i] for i in chosen], [self.cells[i] for i in chosen]
        found = captured_rows(networks, cells, self.data, self.shape)
        for i, rows in zip(chosen, found, strict=True):
            self.layer_rows[i] += [{**row, "step": step} for row in rows]

    def _keep_weights(self, step: int) -> None:
        """Hand over the weights of the active cells that are wanted before this step."""
        for wanted in self.wanted:
            if wanted.step == step:
                self._update_networks(self.active)
                wanted.keep({self.cells[i]: self.networks[i] for i in self.active})

    def _update_networks(self, chosen: Sequence[int]) -> None:
        """Copy the weights of these active cells from the stack into their networks."""
        for i in chosen:
            self.engine.load_into(self.networks[i], self.active.index(i))


def _is_finite(network: nn.Module) -> bool:
    finite = [p.detach().isfinite().all() for p in network.parameters()]
    return bool(torch.stack(finite).all().item())
