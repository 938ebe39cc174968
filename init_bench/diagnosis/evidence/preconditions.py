"""Check that inputs, outputs, targets and loss fit before evidence is collected."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from init_bench.errors import InitBenchError
from init_bench.hooks.layer_call import LayerCall
from init_bench.hooks.model_call import first_argument, shapes, why_no_parameters
from init_bench.hooks.nested_tensors import nonfinite_in, tensors_in


def dtype_hint(model: nn.Module, inputs: Any, cause: Exception) -> str:
    """Return which dtype the inputs need, where the dtypes do not fit."""
    dtypes = {parameter.dtype for parameter in model.parameters()}
    given = {tensor.dtype for tensor in tensors_in(inputs)}
    if "dtype" not in str(cause) or len(dtypes) > 1 or given <= dtypes:
        return ""
    return f"\nits parameters are {next(iter(dtypes))}: pass inputs of that dtype"


def why_no_backward(model: nn.Module, cause: Exception) -> str:
    """Return what to do where a backward pass fails because of the mode of a recurrent layer."""
    if "RNN backward can only be called in training mode" not in str(cause):
        return ""
    return (
        f"{type(model).__name__} has a recurrent layer in evaluation mode, and on a GPU such a "
        f"layer has gradients in training mode only: call .train() on it, then diagnose the model"
    )


def check_parameters(model: nn.Module) -> None:
    """Refuse a model without parameters, or with parameters that have no shape or values yet."""
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise InitBenchError(
                f"parameter {name!r} is lazy and has no values yet: run one batch through the "
                f"model, model(inputs), under your own seed, then diagnose it"
            )
        if parameter.is_meta:
            raise InitBenchError(
                f"parameter {name!r} is on the meta device and has no values: build the model on a "
                f"real one, or call model.to_empty(device='cpu') and initialize it"
            )
    if not any(True for _ in model.parameters()):
        raise InitBenchError(
            f"{type(model).__name__} has no parameters: there is no initialization to diagnose; "
            f"{why_no_parameters(model)}"
        )


def check_layers(model: nn.Module, calls: Sequence[LayerCall]) -> None:
    """Refuse a model in which no layer could be described."""
    if not calls:
        raise InitBenchError(
            f"no layer of this {type(model).__name__} returns a floating-point tensor: there is "
            f"nothing to measure"
        )


UNBATCHED: dict[object, int] = {
    nn.Linear.forward: 1,
    nn.Conv1d.forward: 2,
    nn.Conv2d.forward: 3,
    nn.Conv3d.forward: 4,
}
"""Dimensions of a single sample, without a batch, that a layer with this forward takes too."""


def check_batch(modules: Mapping[str, nn.Module], inputs: Any, calls: Sequence[LayerCall]) -> None:
    """Refuse inputs that the first layer takes for one sample: they have no batch dimension.

    A layer that gets a parameter, or other sizes, says nothing of them: it makes weights.
    """
    first, call = first_argument(inputs), calls[0]
    kind: type = type(modules.get(call.layer))
    single = UNBATCHED.get(getattr(kind, "forward", None))
    if not isinstance(first, Tensor) or first.dim() != single or not call.samples:
        return
    if call.input.get("dimensions") == single and call.input["samples"] == len(first):
        sizes = ",".join(map(str, (64, *first.shape)))
        raise InitBenchError(
            f"inputs {shapes(inputs)} are a single sample without a batch dimension for layer "
            f'"{call.layer}" ({kind.__name__}), and samples are compared: put the batch first, as '
            f"in sizes {sizes} (--input {sizes} on the command line)"
        )


def check_targets(loss: Tensor, output: Any, targets: Any) -> None:
    """Refuse a loss that targets make nan or infinite; where weights do, it is a finding."""
    if loss.isfinite() or nonfinite_in(output):
        return
    if broken := nonfinite_in(targets):
        raise InitBenchError(
            f"targets {shapes(targets)} hold nan or ±inf ({broken} of their values) and the loss "
            f"is {loss.item():g}: clean the targets, or leave those values out in loss_fn"
        )


def check_attached(model: nn.Module, output: Any) -> None:
    """Refuse an output without a gradient back to a parameter, and say what cuts it off."""
    name = type(model).__name__
    without = "or leave out targets and loss_fn to judge the signal alone"
    if torch.is_inference_mode_enabled():
        raise InitBenchError(
            f"torch.inference_mode is on, which keeps no gradients: diagnose this {name} outside "
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
            f"parameter: its forward cuts it off, as detach() and torch.no_grad() do; fix that, "
            f"{without}"
        )
