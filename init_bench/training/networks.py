"""Build a cell's network and fill its weights."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init import InitSpec
from init_bench.init.whole_model.initialization import fill_weights
from init_bench.init.whole_model.rate_factors import Factors, FactorsByKind, factors_for
from init_bench.models import make
from init_bench.training.cell import Cell
from init_bench.training.minibatch_indices import sample_indices

INIT_SAMPLES = 128
"""Training samples that an initializer with data gets: the first that the seed draws. With the
default batch size they are the first minibatch; with any other they are the same samples."""


NEED_DATA = ("batch", "loss")
"""Kinds of initializers that get them."""


def network_of(cell: Cell, data: Dataset) -> nn.Module:
    """Return the cell's network on the CPU with its initial weights.

    An initializer that needs data gets ``INIT_SAMPLES`` training samples; one that needs a loss
    gets ``loss_of`` on them. So the weights depend on data set, model, initializer and seed.

    Raises:
        InitBenchError: the model's factory fails on this data set, or the initializer cannot
            fill the model.
    """
    return rated_network_of(cell, data)[0]


def rated_network_of(cell: Cell, data: Dataset) -> tuple[nn.Module, dict[str, Factors]]:
    """Return the cell's network as ``network_of``, and the factors of its parameters' rates.

    Raises:
        InitBenchError: as ``network_of``.
    """
    batch = seen_by_init(cell, data) if cell.init_spec.needs in NEED_DATA else None
    network, kinds = _build(lambda: _unfilled(cell, data), cell.init_spec, cell.seed, batch)
    return network, {name: factors_for(cell.optimizer, each) for name, each in kinds.items()}


def starts_of(cells: Sequence[Cell], data: Dataset) -> list[tuple[nn.Module, dict[str, Factors]]]:
    """Return the initial network of each cell, and the factors of its parameters' rates.

    Cells that differ in their rates alone start alike: the start is computed once and copied.

    Raises:
        InitBenchError: as ``network_of``.
    """
    made: dict[Cell, tuple[nn.Module, dict[str, Factors]]] = {}
    starts = []
    for cell in cells:
        alike = replace(cell, lr=0.0, momentum=0.0, weight_decay=0.0)
        known = alike in made
        start = copy.deepcopy(made[alike]) if known else rated_network_of(cell, data)
        made.setdefault(alike, start)
        starts.append(start)
    return starts


def _unfilled(cell: Cell, data: Dataset) -> nn.Module:
    """Return the cell's network as its factory makes it."""
    offered = {
        "features": data.features,
        "image": data.image or (data.features,),
        "classes": data.classes,
        "width": cell.width,
        "depth": cell.depth,
        "bias": cell.bias,
        "norm": cell.norm,
        "activation": cell.activation,
    }
    return make(cell.model, offered)


def seen_by_init(cell: Cell, data: Dataset) -> tuple[Tensor, Tensor]:
    """Return the inputs and classes, on the CPU, that the cell's initializer gets."""
    chosen = next(sample_indices(len(data.targets), cell.seed, INIT_SAMPLES))
    inputs = data.inputs[chosen].view(-1, *input_shape(cell, data))
    return inputs.cpu(), data.targets[chosen].cpu()


def check(cell: Cell, data: Dataset) -> None:
    """Check before any training that the cell's network takes samples and returns logits.

    An initializer that needs data is not called here: it may take long, and whether it succeeds
    depends on the seed. If it fails, the cell fails when it is run.

    Raises:
        InitBenchError: the network cannot be made, cannot take the samples, or does not return a
            row of ``classes`` logits for each.
    """
    if cell.is_plain_mlp:
        return _check_classes(cell, data)
    needs_data = cell.init_spec.needs in NEED_DATA
    with drawing_from(stream(cell.seed, "factory")):
        network = _unfilled(cell, data) if needs_data else network_of(cell, data)
    shape = (2, *input_shape(cell, data))
    try:
        with torch.no_grad(), drawing_from(stream(cell.seed, "check")):
            logits = network.eval()(data.test_inputs[:2].cpu().view(shape))
    except Exception as cause:
        raise InitBenchError(
            f"model {cell.model!r} cannot take inputs of shape {shape} ({cell.dataset}): "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    if not isinstance(logits, Tensor) or logits.shape != (2, data.classes):
        returned = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InitBenchError(
            f"model {cell.model!r} must return logits of shape (samples, classes), here "
            f"{(2, data.classes)} for {cell.dataset}; it returned {returned}"
        )


def _check_classes(cell: Cell, data: Dataset) -> None:
    """Refuse real-valued targets for plain MLPs, whose engine computes the cross-entropy."""
    if not data.has_classes:
        raise InitBenchError(
            f"model {cell.model!r} learns classes, and {cell.dataset} has real-valued targets: "
            f"train siren on it, or a model of your own"
        )


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits to classes, or the mean squared error to values.

    Example:
        >>> loss_of(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])).item()
        5.0
    """
    if targets.is_floating_point():
        return nn.functional.mse_loss(outputs.float(), targets)
    return nn.functional.cross_entropy(outputs.float(), targets)


def input_shape(cell: Cell, data: Dataset) -> tuple[int, ...]:
    """Return the shape of one sample as the cell's network takes it."""
    return (data.features,) if cell.is_mlp else data.image or (data.features,)


def build(
    factory: Callable[[], nn.Module],
    init: str | InitSpec,
    seed: int,
    batch: tuple[Tensor, Tensor] | None = None,
) -> nn.Module:
    """Return ``factory()`` on the CPU with weights from ``init``, ``seed`` and ``batch`` alone.

    Parameters that the initializer does not fill keep what the factory drew from a stream of the
    seed. An initializer that needs data gets ``batch``, inputs and classes on the CPU; one that
    needs a loss gets ``loss_of`` on it.

    Example:
        >>> from init_bench.models import mlp
        >>> net = build(lambda: mlp(4, 2, 3, 2, "relu"), "zeros", seed=0)
        >>> net.fc1.weight.sum().item()
        0.0
    """
    return _build(factory, init, seed, batch)[0]


def _build(
    factory: Callable[[], nn.Module],
    init: str | InitSpec,
    seed: int,
    batch: tuple[Tensor, Tensor] | None,
) -> tuple[nn.Module, Mapping[str, FactorsByKind]]:
    """Return the network and the factors of its parameters, by kind of optimizer."""
    with drawing_from(stream(seed, "factory")):
        model = factory()
    return model, fill_weights(model, init, batch=batch, loss=loss_of, seed=seed)
