"""Compute the loss of a user's model; say in the user's words what does not fit."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import Model, check_scalar, run

_ONE_THREAD = threading.RLock()
"""Torch's choice of attention kernels is the process's: two threads must not put back what the
other found. Attention that another thread trains meanwhile takes the plain formula too, whose
rounding is another."""


def objective(model: Model, batch: Any, loss: Callable[..., Any] | None) -> Tensor:
    """Return the scalar loss: ``loss(output, targets)`` of a batch (inputs, targets),
    ``loss(output)`` of a batch without targets, ``loss(model)`` where there is no batch.

    Raises:
        InitBenchError: the model does not take the batch, the loss fails, is no scalar, or does
            not depend on the parameters.

    Example:
        >>> objective(torch.nn.Linear(3, 2), torch.ones(4, 3), torch.sum).dim()
        0
    """
    if loss is None:
        raise InitBenchError("there is no loss: pass loss_fn=, such as loss_fn=F.cross_entropy")
    arguments = (model,) if batch is None else (run(model, batch), *_targets(batch))
    try:
        value = loss(*arguments)
    except InitBenchError:
        raise
    except Exception as cause:  # whatever the user's loss raises
        form = "loss_fn(model)" if batch is None else "loss_fn(output, *targets)"
        raise InitBenchError(f"the loss, called as {form}, fails: {cause}") from cause
    return _scalar(value)


@contextmanager
def differentiating(name: str, times: str) -> Iterator[None]:
    """Let a loss be differentiated more than once, or say that its model does not allow it.

    Raises:
        InitBenchError: a derivative is missing, as batch norm's third.
    """
    try:
        # The fast kernels of attention have one derivative.
        with _ONE_THREAD, sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
            yield
    except RuntimeError as cause:
        raise InitBenchError(
            f"{name} differentiates the loss {times}, which a layer of this model does not allow "
            f"({cause}); batch norm does in eval mode"
        ) from cause


def _targets(batch: Any) -> tuple[Any, ...]:
    return tuple(batch[1:]) if isinstance(batch, tuple | list) else ()


def _scalar(value: Any) -> Tensor:
    check_scalar(value)
    if not value.requires_grad and torch.is_grad_enabled():
        raise InitBenchError(
            "the loss does not depend on the parameters: compute it from the model's output, "
            "with gradients on"
        )
    scalar: Tensor = value.reshape(())
    return scalar
