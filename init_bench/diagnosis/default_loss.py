"""The loss of a diagnosis where none is given: cross-entropy."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import shapes
from init_bench.hooks.nested_tensors import first_tensor


def cross_entropy(output: Any, targets: Any) -> Tensor:
    """Return the mean cross-entropy of a classifier's logits to class indices.

    Raises:
        InitBenchError: ``output`` and ``targets`` are something else: they bring their own loss.

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
        loss: Tensor = functional.cross_entropy(logits, targets)
    except (RuntimeError, ValueError, IndexError) as cause:
        raise _unfit(output, targets, f" ({type(cause).__name__}: {cause})") from cause
    return loss


def _unfit(output: Any, targets: Any, why: str = "") -> InitBenchError:
    return InitBenchError(
        f"without loss_fn, targets must be class indices, one for each sample, and the output a "
        f"tensor of logits; got targets {shapes(targets)} and output {shapes(output)}{why}: "
        f"{_remedy(output, targets)}"
    )


def _remedy(output: Any, targets: Any) -> str:
    """Return what to do about targets that do not fit, by their type and shapes."""
    logits = first_tensor(output)
    if logits is None or not isinstance(targets, Tensor):
        return "give such targets or loss_fn"
    if targets.is_floating_point():
        return "of targets that are no classes give loss_fn, such as nn.functional.mse_loss"
    if targets.shape == logits.shape[:-1] and logits.dim() > 2:
        return (
            "where classes lie last, give loss_fn=lambda output, targets: "
            "nn.functional.cross_entropy(output.flatten(0, -2), targets.flatten())"
        )
    if targets.shape == logits.shape:
        return "of one-hot targets, targets.argmax(1) are such indices; else give loss_fn"
    if targets.dim() == logits.dim() and targets.shape[1:2] == (1,):
        return "targets.squeeze(1) takes the dimension of size 1 away"
    if targets.dtype in (torch.int8, torch.int16, torch.int32):
        return "targets.long() are such indices"
    return "give such targets or loss_fn"
