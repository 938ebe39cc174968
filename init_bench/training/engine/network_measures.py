"""Capture the layers of trained networks and test them: one by one, or many as one stack."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

from init_bench.datasets import Dataset
from init_bench.hooks.layer_call import Row
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.hooks.record import capture
from init_bench.training.cell import Cell
from init_bench.training.engine.stacked_measures import (
    TESTED_SAMPLES,
    accuracies,
    by_activation,
    layer_rows,
)
from init_bench.training.networks import loss_of
from init_bench.training.tables import stored_rows

CAPTURED_SAMPLES = 512
"""Layers are captured on this many samples: the first of the training part."""


MEASURED_ALONE = ("cpu", "mps")
"""Kinds of device on which networks are captured and tested one by one: a CPU is faster so, and
Apple's GPUs have no float64, which the statistics of a stack are computed in."""


def _measured_together(cells: Sequence[Cell], data: Dataset) -> bool:
    """Return whether the cells' networks are measured as one stack."""
    return data.device.type not in MEASURED_ALONE and all(cell.is_plain_mlp for cell in cells)


def captured_rows(
    networks: Sequence[nn.Module], cells: Sequence[Cell], data: Dataset, shape: tuple[int, ...]
) -> list[list[Row]]:
    """Return the layer statistics of each network."""
    if not _measured_together(cells, data):
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


def tested_accuracies(
    networks: Sequence[nn.Module], cells: Sequence[Cell], data: Dataset, shape: tuple[int, ...]
) -> list[float]:
    """Return for each network the share of test samples that it classifies correctly."""
    if not _measured_together(cells, data):
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
