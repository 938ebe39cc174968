"""A model looked at while it learns: evidence at chosen steps, then its weights given back."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from init_bench.diagnosis.evidence.collection import Evidence, Loss, examine
from init_bench.errors import InitBenchError, as_ints, misfit
from init_bench.hooks.isolation import given_back, left_as_it_was
from init_bench.hooks.model_call import call

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
"""Builds the optimiser of a model."""


SUCH_AS = "such as optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1)"
"""What to give as ``optimizer``, for a message."""


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
    steps = _checked(steps)
    last = max(steps, default=0)
    if not last:
        return {0: examine(model, inputs, targets, loss_fn)}
    if loss_fn is None:
        raise InitBenchError(
            f"steps={steps} asks to train, which needs targets or loss_fn: the class of each "
            f"sample, or a function of output and targets that returns a scalar"
        )
    if optimizer is None:
        raise InitBenchError(f"steps={steps} asks to train, which needs optimizer, {SUCH_AS}")
    found = {0: examine(model, inputs, targets, loss_fn)}
    with given_back(model), left_as_it_was(model, inputs), torch.enable_grad():
        update = optimizer_of(model, optimizer)
        for step in range(1, last + 1):
            if not _update(model, update, inputs, targets, loss_fn):
                found[step - 1] = examine(model, inputs, targets, loss_fn)
                break
            if step in steps:
                found[step] = examine(model, inputs, targets, loss_fn)
    return found


def optimizer_of(model: nn.Module, optimizer: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser that ``optimizer`` builds of ``model``.

    Raises:
        InitBenchError: it builds none, one that moves no parameter of ``model``, or one whose
            step needs a closure.
    """
    if not callable(optimizer):
        got = repr(optimizer) if isinstance(optimizer, str) else f"a {type(optimizer).__name__}"
        raise InitBenchError(
            f"optimizer must be a function that builds the optimiser of a model, {SUCH_AS}; "
            f"got {got}"
        )
    takes_parameters = isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)
    why = "it takes parameters" if takes_parameters else misfit(optimizer, model)
    if why:
        raise InitBenchError(
            f"optimizer={optimizer!r} cannot be called with the model: {why}; it must be a "
            f"function of the model, {SUCH_AS}"
        )
    update = optimizer(model)
    if not isinstance(update, torch.optim.Optimizer):
        kind = type(update).__name__
        raise InitBenchError(f"optimizer(model) must return an optimiser, got a {kind}; {SUCH_AS}")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(moved) in own for group in update.param_groups for moved in group["params"]):
        raise InitBenchError(
            f"the {type(update).__name__} that optimizer(model) returns holds no parameter of "
            f"that model and would train nothing; give it those of its argument, {SUCH_AS}"
        )
    closure = inspect.signature(update.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise InitBenchError(
            f"the step of {type(update).__name__} needs a closure that computes the loss again; "
            f"choose an optimiser whose step() takes none, {SUCH_AS}"
        )
    return update


def _checked(steps: Sequence[int]) -> tuple[int, ...]:
    """Return the steps as Python's integers, which numpy's become."""
    found = as_ints(steps) if isinstance(steps, Sequence) else None
    if found is None or min(found, default=0) < 0:
        raise InitBenchError(
            f"steps must be a sequence of whole numbers from 0, such as (0, 10, 100), got {steps!r}"
        )
    return tuple(found)


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
