"""A model looked at while it learns: evidence at chosen steps, then its weights given back."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from init_bench.errors import InitBenchError
from init_bench.examining import Evidence, Loss, call, examine, left_as_it_was
from init_bench.init.snapshot import given_back

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
"""Builds the optimiser of a model."""


def follow(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    loss_fn: Loss | None,
    steps: Sequence[int],
    optimizer: Optimizer | None,
) -> dict[int, Evidence]:
    """Return what a look finds before training and after each of ``steps`` updates on ``inputs``.

    A loss that is not finite ends the training: the step it comes up at is the last one looked at.
    Parameters are afterwards what they were, and so is all that ``examine`` gives back.

    Raises:
        InitBenchError: a step is no whole number from 0, there is no loss or optimiser to train
            with, or as ``examine``.
    """
    last = max(_checked(steps), default=0)
    found = {0: examine(model, inputs, targets, loss_fn)}
    if not last:
        return found
    if loss_fn is None or not callable(optimizer):
        missing = "optimizer" if loss_fn else "targets or loss_fn"
        raise InitBenchError(
            f"steps={tuple(steps)} asks to train, which needs {missing}, such as "
            f"optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1)"
        )
    with given_back(model), left_as_it_was(model), torch.enable_grad():
        update = optimizer(model)
        for step in range(1, last + 1):
            if not _update(model, update, inputs, targets, loss_fn):
                found[step - 1] = examine(model, inputs, targets, loss_fn)
                break
            if step in steps:
                found[step] = examine(model, inputs, targets, loss_fn)
    return found


def _checked(steps: Sequence[int]) -> Sequence[int]:
    many = isinstance(steps, Sequence)
    if not many or any(not isinstance(step, int) or step < 0 for step in steps):
        raise InitBenchError(
            f"steps must be a sequence of whole numbers from 0, such as (0, 10, 100), got {steps!r}"
        )
    return steps


def _update(
    model: nn.Module, update: torch.optim.Optimizer, inputs: Any, targets: Any, loss_fn: Loss
) -> bool:
    """Do one update, if the loss is finite; return whether it was."""
    update.zero_grad()
    loss = loss_fn(call(model, inputs), targets)
    if not loss.isfinite():
        return False
    loss.backward()  # type: ignore[no-untyped-call]
    update.step()
    return True
