"""Compute a loss of an output that may have diverged: that is a result, not an error."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from init_bench.hooks.nested_tensors import dense_tensors, nonfinite_in

Loss = Callable[[Any, Any], Tensor]
"""Takes the model's output and the targets, returns a scalar."""


def loss_or_nan(loss_fn: Loss, output: Any, targets: Any) -> Tensor:
    """Return the loss; nan, of the output's graph, where it refuses an output with nan or ±inf.

    The binary cross-entropy of probabilities does, and a distribution that checks its arguments.

    Example:
        >>> diverged = torch.tensor([math.nan])
        >>> loss_or_nan(torch.nn.functional.binary_cross_entropy, diverged, torch.ones(1))
        tensor(nan)
    """
    try:
        return loss_fn(output, targets)
    except Exception:  # whatever the user's loss raises
        if not nonfinite_in(output):
            raise
        return math.nan * torch.stack([x.sum().float() for x in dense_tensors(output)]).sum()
