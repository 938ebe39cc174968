"""Train one chunk: draw the weights, choose the engine, step, capture the layers, test."""

import gc
import itertools
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from init_bench.datasets import Dataset
from init_bench.hooks.layer_call import Row
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.hooks.record import capture
from init_bench.training.cell import Cell
from init_bench.training.engine.accelerator_mlp import AcceleratorMLP
from init_bench.training.engine.device_steps import BLOCK_STEPS, DeviceSteps
from init_bench.training.engine.host_steps import HostSteps
from init_bench.training.engine.kept_weights import wanted_of
from init_bench.training.engine.minibatches import minibatches, padded_minibatches
from init_bench.training.engine.modules import StackedModules, stack_modules
from init_bench.training.engine.stacked_measures import (
    TESTED_SAMPLES,
    accuracies,
    by_activation,
    layer_rows,
)
from init_bench.training.engine.stacked_mlp import StackedMLP
from init_bench.training.engine.update_rule import CellFactors, has_rates
from init_bench.training.networks import input_shape, loss_of, starts_of
from init_bench.training.progress import ProgressCallback
from init_bench.training.tables import CellResult, stored_rows, until_divergence

log = logging.getLogger(__name__)


CAPTURED_SAMPLES = 512
"""Layers are captured on this many samples: the first of the training part."""


MEASURED_ALONE = ("cpu", "mps")
"""Kinds of device on which networks are captured and tested one by one: a CPU is faster so, and
Apple's GPUs have no float64, which the statistics of a stack are computed in."""


SHARED_UNITS = 16
"""Fewest units of the first layer for which cells share a stack. The first layer is one product for
all cells of a seed; for fewer units the matrix library computes one cell otherwise than many."""


NO_MEMORY = ("out of memory", "ALLOC_FAILED")
"""Words of the errors of a device, or of a library on it such as cuBLAS, whose memory ran out."""


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
        if len(cells) == 1 or not _ran_out(error):
            raise
    log.warning("%d cells do not fit into the memory of %s: halved", len(cells), data.device)
    progress(-done)
    gc.collect()
    torch.accelerator.memory.empty_cache()
    half = len(cells) // 2
    return _trained(cells[:half], data, progress) + _trained(cells[half:], data, progress)


def _ran_out(error: RuntimeError) -> bool:
    """Return whether an error says that a device's memory ran out."""
    lacking = any(words in str(error) for words in NO_MEMORY)
    return lacking or isinstance(error, torch.OutOfMemoryError)


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
    seeds, size, on_cpu = (
        [cell.seed for cell in cells],
        cells[0].batch_size,
        data.device.type == "cpu",
    )
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
        accuracies = _accuracies(self.networks, self.cells, self.data, self.shape)
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
        found = _layer_rows(networks, cells, self.data, self.shape)
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


def _together(cells: Sequence[Cell], data: Dataset) -> bool:
    """Return whether the cells' networks are measured as one stack."""
    return data.device.type not in MEASURED_ALONE and all(cell.is_plain_mlp for cell in cells)


def _layer_rows(
    networks: Sequence[nn.Module], cells: Sequence[Cell], data: Dataset, shape: tuple[int, ...]
) -> list[list[Row]]:
    """Return the layer statistics of each network."""
    if not _together(cells, data):
        pairs = zip(networks, cells, strict=True)
        return [_rows_of_network(network, cell, data, shape) for network, cell in pairs]
    inputs, targets = data.first(CAPTURED_SAMPLES), data.targets[:CAPTURED_SAMPLES]
    return by_activation(networks, cells, lambda stack: layer_rows(stack, inputs, targets))


def _rows_of_network(
    network: nn.Module, cell: Cell, data: Dataset, shape: tuple[int, ...]
) -> list[Row]:
    """Return the layer statistics, gradients included, on the first training samples.

    The network runs in training mode: normalization layers use the statistics of the samples, its
    buffers stay as they were, and random layers draw from a stream of the seed.
    """
    inputs = data.first(CAPTURED_SAMPLES).view(-1, *shape)
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    trained = [p for p in network.parameters() if p.requires_grad]
    own_draws = nullcontext() if cell.is_plain_mlp else drawing_from(stream(cell.seed, "look"))
    with own_draws, capture(network, histogram=True) as record:
        logits: Tensor = functional_call(network, buffers, (inputs,))
        loss = loss_of(logits, data.targets[:CAPTURED_SAMPLES])
        torch.autograd.grad(loss, trained, allow_unused=True)
    return list(stored_rows(record.layer_calls))


def _is_finite(network: nn.Module) -> bool:
    finite = [p.detach().isfinite().all() for p in network.parameters()]
    return bool(torch.stack(finite).all().item())


def _accuracies(
    networks: Sequence[nn.Module], cells: Sequence[Cell], data: Dataset, shape: tuple[int, ...]
) -> list[float]:
    """Return for each network the share of test samples that it classifies correctly."""
    if not _together(cells, data):
        pairs = zip(networks, cells, strict=True)
        return [_accuracy(network, cell, data, shape) for network, cell in pairs]
    inputs, targets = data.test_inputs, data.test_targets
    return by_activation(networks, cells, lambda stack: accuracies(stack, inputs, targets))


def _accuracy(network: nn.Module, cell: Cell, data: Dataset, shape: tuple[int, ...]) -> float:
    """Return the share of test samples classified correctly; nan logits are wrong.

    Of real-valued targets return R² = 1 − mean squared error / variance, at least 0, and 0 where
    an output is not finite.
    """
    network.eval()
    own_draws = nullcontext() if cell.is_plain_mlp else drawing_from(stream(cell.seed, "test"))
    with torch.no_grad(), own_draws:
        parts = torch.split(data.test_inputs.view(-1, *shape), TESTED_SAMPLES)
        logits = torch.cat([network(part) for part in parts])
    if not data.has_classes:
        targets = data.test_targets
        explained = 1 - (logits - targets).square().mean() / targets.var(correction=0)
        return max(0.0, float(explained)) if logits.isfinite().all() else 0.0
    correct = (logits.argmax(dim=1) == data.test_targets) & logits.isfinite().all(dim=1)
    return float(correct.sum().item()) / len(correct)
