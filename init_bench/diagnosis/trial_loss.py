"""Measure the loss of a short training; an error in it says where it happened."""

import math
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.diagnosis.loss_or_nan import Loss, loss_or_nan
from init_bench.hooks.model_call import call
from init_bench.hooks.nested_tensors import nonfinite_in
from init_bench.hooks.record import capture


def trial_loss(model: nn.Module, inputs: Any, targets: Any, loss_fn: Loss, where: str) -> Tensor:
    """Return the loss; nan where model or loss raises because the training has diverged.

    Any other error goes on to the caller with a note that says ``where`` it happened.
    """
    try:
        return loss_or_nan(loss_fn, call(model, inputs), targets)
    except Exception as error:  # whatever the user's code raises
        if _has_diverged(model, inputs):
            return torch.tensor(math.nan)
        error.add_note(f"raised in a short training: {where}")
        raise


def _has_diverged(model: nn.Module, inputs: Any) -> bool:
    """Return whether a parameter, or the output of a layer that ran, holds nan or ±inf."""
    if nonfinite_in(list(model.parameters())):
        return True
    with torch.no_grad(), capture(model) as record, suppress(Exception):
        call(model, inputs)
    return any(layer.output["nonfinite"] > 0 for layer in record.layer_calls)
