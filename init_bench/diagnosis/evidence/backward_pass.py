"""Run the backward pass of a loss; say why where no gradient leads back to the model."""

import math
from typing import Any, NamedTuple

from torch import Tensor, nn

from init_bench.diagnosis.evidence.chance import loss_of_zeros
from init_bench.diagnosis.evidence.loss_use import LossUse, depends_on_output
from init_bench.diagnosis.evidence.preconditions import (
    check_attached,
    check_targets,
    why_no_backward,
)
from init_bench.diagnosis.loss_or_nan import Loss, loss_or_nan
from init_bench.errors import InitBenchError
from init_bench.hooks.forward_hooks import LayerTracker
from init_bench.hooks.model_call import check_scalar, shapes
from init_bench.hooks.nested_tensors import is_dense, tensors_in


class PassedLoss(NamedTuple):
    """What the loss of a pass yields: ``arrives``, whether its gradient arrives at the output."""

    value: float = math.nan
    of_zeros: float = math.nan
    floor: float = math.nan
    log_mass: float = math.nan
    arrives: bool = True


def backward_pass(tracker: LayerTracker, loss_fn: Loss, output: Any, targets: Any) -> PassedLoss:
    """Run the backward pass of the loss alone."""
    model = tracker.view.model
    attached = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    arrived: list[bool] = []

    def arrive(gradient: Tensor) -> None:
        arrived.append(not is_dense(gradient) or bool(gradient.any()))

    for tensor in attached:
        handle = tensor.register_hook(arrive)  # type: ignore[no-untyped-call]
        tracker.hooks.callback(handle.remove)
    try:
        with LossUse() as use:
            loss = loss_or_nan(loss_fn, output, targets)
        check_scalar(loss)
        if not loss.requires_grad:
            raise _no_path(model, loss_fn, output, targets, loss, use)
        check_targets(loss, output, targets)
        of_zeros = loss_of_zeros(loss_fn, output, targets)
        for parameter in model.parameters():
            parameter.grad = None  # of a derivative that the model or the loss took on the way
        tracker.listens = True
        loss.backward()  # type: ignore[no-untyped-call]
        if not arrived and all(parameter.grad is None for parameter in model.parameters()):
            raise _no_path(model, loss_fn, output, targets, loss, use)
    except InitBenchError:
        raise
    except Exception as cause:
        raise InitBenchError(
            why_no_backward(model, cause)
            or f"loss_fn does not take the output {shapes(output)} with targets {shapes(targets)}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    arrives = any(arrived) or not attached
    return PassedLoss(loss.item(), of_zeros, use.floor, use.mass, arrives)


def _no_path(
    model: nn.Module, loss_fn: Loss, output: Any, targets: Any, loss: Tensor, use: LossUse
) -> InitBenchError:
    """Return the error that says why no gradient leads from the loss to the model."""
    check_attached(model, output)
    by = f" by {', '.join(use.cuts)}" if use.cuts else ""
    why = f"cuts it off{by or ', as a threshold, argmax, detach() and torch.no_grad() do'}"
    if not depends_on_output(loss_fn, output, targets, loss.item()):
        why = "has the same value for other outputs, so it makes no use of this one"
    return InitBenchError(
        f"no gradient leads from the loss back to the output {shapes(output)}: loss_fn {why}; fix "
        f"that, or leave out targets and loss_fn to judge the signal alone"
    )
