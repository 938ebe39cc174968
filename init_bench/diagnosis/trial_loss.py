"""Measure the loss of a short training; an error in it says where it happened."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.diagnosis.loss_or_nan import Loss, loss_or_nan
from init_bench.hooks.model_call import call
from init_bench.hooks.nested_tensors import nonfinite_in


def trial_loss(model: nn.Module, inputs: Any, targets: Any, loss_fn: Loss, where: str) -> Tensor:
    """Return the loss; nan where model or loss raises because the training has diverged.

    Any other error goes on to the caller with a note that says ``where`` it happened.
    """
    try:
        return loss_or_nan(loss_fn, call(model, inputs), targets)
    except Exception as error:  # whatever the user's code raises
        if nonfinite_in(list(model.parameters())):
            return torch.tensor(math.nan)
        error.add_note(f"raised in a short training: {where}")
        raise
