"""Collect evidence at chosen training steps, then restore the weights."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from init_bench.diagnosis.evidence.collection import Evidence, collect_evidence
from init_bench.diagnosis.evidence.updates import parameter_copies, update_ratios
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.trial_loss import trial_loss
from init_bench.errors import InitBenchError, as_ints, misfit
from init_bench.hooks.isolation import isolated_pass, restored_parameters
from init_bench.init import Report

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
"""Builds the optimizer of a model."""


SUCH_AS = "such as optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1)"
"""What to give as ``optimizer``, for a message."""


def collect_evidence_by_step(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    loss_fn: Loss | None,
    steps: Sequence[int],
    optimizer: Optimizer | None,
    report: Report | None = None,
) -> dict[int, Evidence]:
    """Return the evidence before training and after each of ``steps`` updates on ``inputs``.

    With an optimizer and a loss, the weights of step 0 have ``update_ratio``, ‖ΔW‖ / ‖W‖ of the
    first update. A loss that is not finite ends the training: the evidence of that step is the
    last. Parameters are restored, and so is all that ``collect_evidence`` restores. The optimizer
    takes the factors of ``report``, if there is one.

    Raises:
        InitBenchError: a step is no integer from 0, there is no loss or optimizer to train with,
            or as ``collect_evidence``.
    """
    steps = _checked(steps)
    last = max(steps, default=0)
    if last and loss_fn is None:
        raise InitBenchError(
            f"capture_at={steps} asks to train, which needs targets or loss_fn: the class of each "
            f"sample, or a function of output and targets that returns a scalar"
        )
    if last and optimizer is None:
        raise InitBenchError(f"capture_at={steps} asks to train, which needs optimizer, {SUCH_AS}")
    evidence = {0: collect_evidence(model, inputs, targets, loss_fn)}
    ratios: dict[str, float] = {}
    if loss_fn is None or optimizer is None:
        return _with_first_update(evidence, ratios)
    with restored_parameters(model), isolated_pass(model, inputs), torch.enable_grad():
        update, before = rated_optimizer_of(model, optimizer, report), parameter_copies(model)
        for step in range(1, max(last, 1) + 1):
            if not _update(model, update, inputs, targets, loss_fn, step - 1):
                if last:
                    evidence[step - 1] = collect_evidence(model, inputs, targets, loss_fn)
                break
            ratios = ratios or update_ratios(before, model)
            if step in steps:
                evidence[step] = collect_evidence(model, inputs, targets, loss_fn)
    return _with_first_update(evidence, ratios)


def _with_first_update(
    evidence: Mapping[int, Evidence], ratios: Mapping[str, float]
) -> dict[int, Evidence]:
    """Return the evidence with a column ``update_ratio`` of the weights, filled at step 0."""
    found = {}
    for step, one in evidence.items():
        ratio = one.weights["parameter"].map({} if step else dict(ratios)).astype(float)
        found[step] = replace(one, weights=one.weights.assign(update_ratio=ratio))
    return found


def rated_optimizer_of(
    model: nn.Module, optimizer: Optimizer, report: Report | None
) -> torch.optim.Optimizer:
    """Return the optimizer of ``model``, with the factors of a report of ``initialize``.

    Raises:
        InitBenchError: as ``optimizer_of``, or the report is of another model.
    """
    update = optimizer_of(model, optimizer)
    return update if report is None else report.scale_rates(update, model)


def optimizer_of(model: nn.Module, optimizer: Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer that ``optimizer`` builds of ``model``.

    Raises:
        InitBenchError: it builds none, one that moves no parameter of ``model``, or one whose
            step needs a closure.
    """
    if not callable(optimizer):
        got = repr(optimizer) if isinstance(optimizer, str) else f"a {type(optimizer).__name__}"
        raise InitBenchError(
            f"optimizer must be a function that builds the optimizer of a model, {SUCH_AS}; "
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
        raise InitBenchError(f"optimizer(model) must return an optimizer, got a {kind}; {SUCH_AS}")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(moved) in own for group in update.param_groups for moved in group["params"]):
        raise InitBenchError(
            f"the {type(update).__name__} that optimizer(model) returns holds no parameter of "
            f"that model and would train nothing; pass it those of its argument, {SUCH_AS}"
        )
    closure = inspect.signature(update.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise InitBenchError(
            f"the step of {type(update).__name__} needs a closure that computes the loss again; "
            f"choose an optimizer whose step() takes none, {SUCH_AS}"
        )
    return update


def _checked(steps: Sequence[int]) -> tuple[int, ...]:
    """Return the steps as Python integers; numpy's are converted."""
    integers = as_ints(steps) if isinstance(steps, Sequence) else None
    if integers is None or min(integers, default=0) < 0:
        raise InitBenchError(
            f"capture_at must be integers from 0, such as (0, 10, 100), got {steps!r}"
        )
    return tuple(integers)


def _update(
    model: nn.Module,
    update: torch.optim.Optimizer,
    inputs: Any,
    targets: Any,
    loss_fn: Loss,
    step: int,
) -> bool:
    """Do one update if the loss is finite; return whether it is."""
    update.zero_grad()
    where = f"at rate {update.param_groups[0]['lr']:g}, step {step}"
    loss = trial_loss(model, inputs, targets, loss_fn, where)
    if not loss.isfinite():
        return False
    loss.backward()  # type: ignore[no-untyped-call]
    update.step()
    return True
