"""Check that inputs, outputs, targets and loss fit before evidence is collected."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import shapes
from init_bench.hooks.nested_tensors import nonfinite_in, tensors_in


def _dtype_hint(model: nn.Module, inputs: Any, cause: Exception) -> str:
    """Return what type of inputs suits the parameters, where the types are what does not fit."""
    kinds = {parameter.dtype for parameter in model.parameters()}
    given = {tensor.dtype for tensor in tensors_in(inputs)}
    if "dtype" not in str(cause) or len(kinds) > 1 or given <= kinds:
        return ""
    return f"\nits parameters are {next(iter(kinds))}: give inputs of that type"


def _refuse_no_parameters(model: nn.Module) -> None:
    if not any(True for _ in model.parameters()):
        raise InitBenchError(
            f"{type(model).__name__} has no parameters: there is no initialisation to look at"
        )


def _refuse_no_layers(model: nn.Module, layers: pd.DataFrame) -> None:
    if layers.empty:
        raise InitBenchError(
            f"no layer of this {type(model).__name__} has an output of real numbers: there is "
            f"nothing to measure"
        )


def _refuse_no_function(loss_fn: object) -> None:
    if isinstance(loss_fn, type):
        name = loss_fn.__name__
        raise InitBenchError(f"loss_fn is the class {name}: give one of it, loss_fn={name}()")
    if loss_fn is not None and not callable(loss_fn):
        raise InitBenchError(
            f"loss_fn must be a function of output and targets, such as nn.functional.mse_loss, "
            f"got {loss_fn!r}"
        )


def _refuse_no_scalar(loss: object) -> None:
    if not isinstance(loss, Tensor):
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got a {type(loss).__name__}: gradients are "
            f"judged, so leave out .item()"
        )
    if loss.numel() != 1:
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got {shapes(loss)}: reduce it, as .mean() does"
        )


def _refuse_broken_targets(loss: Tensor, output: Any, targets: Any) -> None:
    """Refuse a loss that is no number because of its targets; of weights it is a finding."""
    if loss.isfinite() or nonfinite_in(output):
        return
    if broken := nonfinite_in(targets):
        raise InitBenchError(
            f"targets {shapes(targets)} hold nan or ±inf ({broken} of their values) and the loss "
            f"is {loss.item():g}: clean the targets, or leave those values out in loss_fn"
        )


def _refuse_detached(model: nn.Module, output: Any) -> None:
    """Say why no gradient leads from the output back to a parameter, where that is so."""
    name = type(model).__name__
    without = "or leave out targets and loss_fn: then the signal alone is judged"
    if torch.is_inference_mode_enabled():
        raise InitBenchError(
            f"torch.inference_mode is on, which keeps no gradients: look at this {name} outside "
            f"of it, {without}"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InitBenchError(
            f"every parameter of this {name} is frozen (requires_grad=False), so none has a "
            f"gradient: call model.requires_grad_(True) before, {without}"
        )
    tensors = list(tensors_in(output))
    if tensors and not any(tensor.requires_grad for tensor in tensors):
        raise InitBenchError(
            f"no gradient leads from the output {shapes(output)} of this {name} back to a "
            f"parameter: its forward cuts it off, as detach() and torch.no_grad() do; mend that, "
            f"{without}"
        )
