"""A small data set, and cells trained on it as most people write it: what engines must equal."""

import itertools
from typing import Any

import torch
from torch import nn

from init_bench.datasets import Dataset
from init_bench.datasets.column_order import sort_columns
from init_bench.models import mlp
from init_bench.training.cell import Cell
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.minibatch_indices import sample_indices
from init_bench.training.networks import build


def _data() -> Dataset:
    g = torch.Generator().manual_seed(7)
    inputs, test_inputs = torch.rand((500, 30), generator=g), torch.rand((100, 30), generator=g)
    labels = torch.randint(0, 5, (600,), generator=g)
    return Dataset(
        sort_columns(inputs), labels[:500], test_inputs, labels[500:], classes=6, sha256=""
    )


DATA = _data()


def torch_optimizer(cell: Cell, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of ``torch.optim`` with the cell's updates."""
    entry = OPTIMIZERS[cell.optimizer]
    kind: Any = entry.torch_class
    trained = [p for p in model.parameters() if p.requires_grad]
    own = {name: getattr(cell, name) for name in entry.reads}
    made: torch.optim.Optimizer = kind(trained, lr=cell.lr, weight_decay=cell.weight_decay, **own)
    return made


def perceptron_of(cell: Cell, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the cell's MLP for ``DATA`` with its initial weights."""

    def factory() -> nn.Module:
        return mlp(
            DATA.features, DATA.classes, cell.width, cell.depth, cell.activation, bias=cell.bias
        )

    return build(factory, cell.init, cell.seed).to(dtype)


def train_plainly(
    cell: Cell, model: nn.Module, data: Dataset, shape: tuple[int, ...] = (-1,)
) -> list[float]:
    """Train the way most people write it: alone, ``nn.Module`` and ``torch.optim``."""
    dtype = next(model.parameters()).dtype
    optimizer, losses = torch_optimizer(cell, model), []
    batches = sample_indices(len(data.targets), cell.seed, cell.batch_size)
    for chosen in itertools.islice(batches, cell.steps):
        logits = model(data.inputs[chosen].view(len(chosen), *shape).to(dtype))
        loss = nn.functional.cross_entropy(logits, data.targets[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses
