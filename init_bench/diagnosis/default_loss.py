"""Compute the loss that a diagnosis uses unless one is given: cross-entropy."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import shapes
from init_bench.hooks.nested_tensors import first_tensor


def cross_entropy(output: Any, targets: Any) -> Tensor:
    """Return the mean cross-entropy of a classifier's logits to class indices.

    Classes are dimension 1 of the logits, as in torch, or the last one where only that fits, as
    in a language model's logits (samples, positions, classes).

    Raises:
        InitBenchError: ``output`` are no logits or ``targets`` no class indices: pass loss_fn.

    Example:
        >>> import torch
        >>> round(cross_entropy(torch.zeros(2, 10), torch.tensor([1, 2])).item(), 4)
        2.3026
    """
    logits = first_tensor(output)
    fits = isinstance(targets, Tensor) and not targets.is_floating_point()
    if logits is None or not fits:
        raise _unfit(output, targets)
    try:
        if _classes_are_last(logits, targets):
            logits, targets = logits.flatten(0, -2), targets.flatten()
        loss: Tensor = functional.cross_entropy(logits, targets)
    except (RuntimeError, ValueError, IndexError) as cause:
        _check_range(logits, targets)
        raise _unfit(output, targets, f" ({type(cause).__name__}: {cause})") from cause
    return loss


def _classes_are_last(logits: Tensor, targets: Tensor) -> bool:
    as_torch_has_it = targets.shape == logits.shape[:1] + logits.shape[2:]
    return logits.dim() > 2 and targets.shape == logits.shape[:-1] and not as_torch_has_it


def _check_range(logits: Tensor, targets: Tensor) -> None:
    """Refuse class indices beyond the number of logits."""
    if logits.dim() < 2 or logits.shape[1] < 2 or targets.dtype != torch.long:
        return
    classes, highest = logits.shape[1], int(targets.max()) if targets.numel() else 0
    if highest >= classes:
        raise InitBenchError(
            f"targets hold class {highest}, but the model returns {classes} logits per sample: "
            f"give the last layer {highest + 1} outputs, or correct the targets"
        )


def _unfit(output: Any, targets: Any, why: str = "") -> InitBenchError:
    return InitBenchError(
        f"without loss_fn, targets must be class indices, one per sample, and the model must "
        f"return a tensor of logits; got targets {shapes(targets)} and output "
        f"{shapes(output)}{why}: {_remedy(output, targets)}"
    )


def _remedy(output: Any, targets: Any) -> str:
    """Return what to pass instead, by type and shape of the targets."""
    logits = first_tensor(output)
    if output is None:
        return "the forward of the model returns nothing: end it with a return"
    if logits is None or not isinstance(targets, Tensor):
        return "pass class indices, or loss_fn"
    if targets.is_floating_point():
        return "targets are floating point: pass loss_fn, for example nn.functional.mse_loss"
    if logits.dim() < 2:
        return "the model returns one number per sample, so pass loss_fn"
    if targets.shape == logits.shape:
        return "for one-hot targets pass targets.argmax(1); otherwise pass loss_fn"
    if targets.dim() == logits.dim() and targets.shape[1:2] == (1,):
        return "pass targets.squeeze(1), without the dimension of size 1"
    if targets.dtype in (torch.int8, torch.int16, torch.int32):
        return "pass targets.long()"
    return "pass class indices, or loss_fn"
