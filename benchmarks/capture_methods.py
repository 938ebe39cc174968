"""Capture layer statistics, our way and the peers': each is a context around a pass."""

import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.record import capture

Method = Callable[[nn.Module], AbstractContextManager[object]]


@contextmanager
def captured(model: nn.Module) -> Iterator[None]:
    """Take every statistic of every output, weight and gradient, and the table of them."""
    with capture(model) as record:
        yield
    record.table()


def _leaves(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if not any(module.children())]


@contextmanager
def moments(model: nn.Module) -> Iterator[None]:
    """Take mean and standard deviation of outputs and gradients, as fastai's ActivationStats."""
    seen: list[tuple[float, float]] = []

    def note(values: Tensor) -> None:
        seen.append((values.mean().item(), values.std().item()))

    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        note(output.detach())
        if output.requires_grad:
            output.register_hook(note)  # type: ignore[no-untyped-call]

    yield from _hooked(model, hook)


@contextmanager
def retained(model: nn.Module) -> Iterator[None]:
    """Retain every output, then take its mean and standard deviation."""
    tensors: list[Tensor] = []
    yield from _hooked(model, lambda _, inputs, output: tensors.append(output.detach().clone()))
    for values in tensors:
        values.mean().item(), values.std().item()


def _hooked(model: nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in _leaves(model)]
    yield
    for handle in handles:
        handle.remove()


@contextmanager
def delve(model: nn.Module) -> Iterator[None]:
    """Take delve's saturation of every layer: the share of directions with 99 % of variance."""
    tracker_of: Any = importlib.import_module("delve").SaturationTracker
    with tempfile.TemporaryDirectory() as folder:
        tracker = tracker_of(folder, save_to="csv", modules=model, stats=["lsat"], device="cpu")
        yield
        tracker.add_saturations()
        tracker.close()


@contextmanager
def cockpit(model: nn.Module) -> Iterator[None]:
    """Take what cockpit's GradHist1d takes: a histogram of the gradients of single samples."""
    backpack: Any = importlib.import_module("backpack")
    extension: Any = importlib.import_module("backpack.extensions").BatchGrad
    backpack.extend(model)
    with backpack.backpack(extension()):
        yield
    values = torch.cat([p.grad_batch.flatten() for p in model.parameters()])  # type: ignore[attr-defined]
    torch.histc(values, bins=100)


def torchinfo(model: nn.Module, inputs: Tensor) -> None:
    """Let torchinfo run the model and describe its layers: shapes and counts, no statistics."""
    importlib.import_module("torchinfo").summary(model, input_data=inputs, verbose=0)


METHODS: Mapping[str, Method] = {
    "plain": lambda model: nullcontext(),
    "init_bench": captured,
    "mean and std (fastai's hooks)": moments,
    "outputs kept, then mean and std": retained,
    "delve's saturation": delve,
    "cockpit's gradient histogram": cockpit,
}

NEEDS = {"delve's saturation": "delve", "cockpit's gradient histogram": "backpack"}


def available(method: str) -> bool:
    """Return whether what ``method`` needs is installed."""
    return method not in NEEDS or find_spec(NEEDS[method]) is not None
