"""Measure the loss of constant outputs: the first loss of a sound start is near it."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.hooks.nested_tensors import first_tensor, map_tensors

FAR = 5.0
"""A loss this many times that of constant outputs is far above chance."""


ROUNDING = 1e-3
"""How far sums of probabilities, and equal losses, may be apart."""


def loss_of_zeros(loss_fn: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> float:
    """Return the loss of an output of zeros, however nested it is; nan where there is none.

    A loss that differentiates the output gets it with its graph.

    Example:
        >>> targets = torch.tensor([0, 1])
        >>> round(loss_of_zeros(nn.functional.cross_entropy, torch.randn(2, 10), targets), 4)
        2.3026
    """
    for with_graph in (False, True):
        try:
            with torch.set_grad_enabled(with_graph):
                return loss_fn(map_tensors(_zeros, output), targets).item()
        except Exception:  # whatever the user's loss raises
            continue
    return math.nan


def best_constant_loss(loss_fn: Callable[[Any, Any], Tensor], output: Any, targets: Any) -> float:
    """Return the least loss of an output that is the same for all samples; nan if none is found.

    A model that learns nothing but its last bias reaches it: the entropy of the classes'
    frequencies, or the variance of a target. Found for outputs (samples,) and (samples, values).

    Example:
        >>> targets = torch.tensor([0, 0, 0, 1])
        >>> output = torch.zeros(4, 2)
        >>> round(best_constant_loss(nn.functional.cross_entropy, output, targets), 4)
        0.5623
    """
    if not isinstance(output, Tensor) or not 1 <= output.dim() <= 2:
        return math.nan
    constant = torch.zeros_like(output[:1]).requires_grad_()
    update = torch.optim.LBFGS([constant], max_iter=20, line_search_fn="strong_wolfe")

    def loss() -> float:
        update.zero_grad()
        value = loss_fn(constant.expand_as(output), targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    try:
        with torch.enable_grad():
            update.step(loss)  # type: ignore[no-untyped-call]
            return loss()
    except Exception:  # whatever the user's loss raises
        return math.nan


def chance_loss(
    loss: float, of_zeros: float, heads: Iterable[nn.Module], again: Callable[[], Tensor]
) -> float:
    """Return the loss of constant outputs; nan where neither way leads to a positive one.

    That is the loss of zeros where the first loss is near it. Where it is not, zeros may be no
    neutral output: as log-probabilities they mean certainty, and of a model that returns its loss
    they are a loss of 0. So the model runs again with zeros after its last weights, and the larger
    of the two losses counts.

    Args:
        loss: the first loss.
        of_zeros: that of an output of zeros.
        heads: the layers that make the output.
        again: runs the model and returns its loss.
    """
    if not 0 < loss < math.inf or (0 < of_zeros and loss <= FAR * of_zeros):
        return of_zeros if of_zeros > 0 else math.nan
    with ExitStack() as hooks:
        for head in heads:
            hooks.callback(head.register_forward_hook(_silence).remove)
        try:
            silenced = again().item()
        except Exception:  # whatever the user's model raises without a signal
            silenced = math.nan
    return max((value for value in (of_zeros, silenced) if 0 < value < math.inf), default=math.nan)


def loss_floor(
    loss_fn: Callable[[Any, Any], Tensor] | None,
    output: Any,
    targets: Any,
    loss: float,
    of_zeros: float = math.nan,
) -> float:
    """Return what a cross-entropy of probabilities cannot fall below; nan of any other loss.

    Probabilities are values from 0 whose sum over the classes is 1. The loss takes them for logits:
    it is a cross-entropy if it is ``nn.CrossEntropyLoss`` or has the value of that one, also
    where the output is 0 (``of_zeros``): near 1/K each, -log p has the same value at first.

    Formula:
        log(e + K - 1) - 1, reached where one of K classes has probability 1.

    Example:
        >>> probabilities, targets = torch.full((2, 10), 0.1), torch.tensor([0, 1])
        >>> round(loss_floor(nn.CrossEntropyLoss(), probabilities, targets, 2.3026), 4)
        1.4612
        >>> loss_floor(nn.CrossEntropyLoss(), torch.zeros(2, 10), targets, 2.3026)
        nan
    """
    given = first_tensor(output)
    if loss_fn is None or given is None or given.dim() < 2 or not given.is_floating_point():
        return math.nan
    if bool((given < 0).any()):
        return math.nan
    given = given.detach().float()
    sums_to_1 = (
        dim
        for dim in (1, given.dim() - 1)
        if given.shape[dim] > 1 and bool(((given.sum(dim) - 1).abs() < ROUNDING).all())
    )
    classes = next(sums_to_1, None)
    if classes is None:
        return math.nan
    if isinstance(loss_fn, nn.CrossEntropyLoss):
        classes = 1
    elif not _is_cross_entropy(given, targets, loss, of_zeros, given.shape[classes]):
        return math.nan
    return math.log(math.e + given.shape[classes] - 1) - 1


def _is_cross_entropy(
    given: Tensor, targets: Any, loss: float, of_zeros: float, classes: int
) -> bool:
    """Return whether the losses of ``given`` and of zeros have the value of a cross-entropy.

    Computed on the CPU: a label beyond the classes, which another loss may leave out, is an error
    there, while a GPU does no more work for this process.
    """
    try:
        own = cross_entropy(given.cpu(), map_tensors(Tensor.cpu, targets)).item()
    except Exception:  # whatever targets of another loss raise
        return False
    pairs = ((own, loss), (of_zeros, math.log(classes)))
    return all(math.isclose(one, other, rel_tol=ROUNDING) for one, other in pairs)


def _zeros(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor * 0 if torch.is_grad_enabled() else torch.zeros_like(tensor)


def _silence(module: nn.Module, inputs: object, output: Any) -> Any:
    return map_tensors(_zeros, output)
