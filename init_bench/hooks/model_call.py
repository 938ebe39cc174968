"""Call a model with inputs: a tuple holds its arguments, a mapping its keyword arguments."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.nested_tensors import dense_tensors

MOST_SHAPES = 6
"""Members of a list or tuple that a message shows one by one."""


Model = Callable[..., Any]


def check_is_module(model: object) -> None:
    """Refuse a model that is no module, or one of TorchScript's.

    Example:
        >>> check_is_module(nn.Linear)
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: model must be a torch.nn.Module, got the class Linear: pass an object of it, Linear(...)
    """  # noqa: E501 - the doctest shows the message as a user sees it
    if isinstance(model, torch.jit.ScriptModule):
        raise InitBenchError(
            f"the layers of a {type(model).__name__} cannot be seen: pass the module that "
            f"torch.jit.script or torch.jit.trace was given"
        )
    if isinstance(model, nn.Module):
        return
    got = type(model).__name__
    if isinstance(model, type):
        got = f"the class {model.__name__}: pass an object of it, {model.__name__}(...)"
    raise InitBenchError(f"model must be a torch.nn.Module, got {got}")


def call(model: Model, inputs: Any) -> Any:
    """Return the model's output: a tuple holds its arguments, a mapping its keyword arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def why_no_parameters(model: nn.Module) -> str:
    """Return what a model without parameters may have in their place, and what to do.

    Example:
        >>> why_no_parameters(nn.ReLU())
        'layers in a plain list or dict count once they are in nn.ModuleList or nn.ModuleDict'
    """
    for module in model.modules():
        if ".quantized." in type(module).__module__:
            return (
                f"its {type(module).__name__} is quantized, which packs the weights away: "
                f"pass the model as it was before"
            )
    return "layers in a plain list or dict count once they are in nn.ModuleList or nn.ModuleDict"


def check_loss_fn(loss_fn: object) -> None:
    """Refuse a loss that cannot be called with output and targets."""
    if isinstance(loss_fn, type):
        name = loss_fn.__name__
        raise InitBenchError(f"loss_fn is the class {name}: pass an instance: loss_fn={name}()")
    if loss_fn is not None and not callable(loss_fn):
        raise InitBenchError(
            f"loss_fn must be a function of output and targets, such as nn.functional.mse_loss, "
            f"got {loss_fn!r}"
        )


def needs_graph(error: BaseException | None) -> bool:
    """Return whether a model failed because it differentiates while gradients are off.

    Or, where it turns them on itself, because a weight under its graph was changed.

    Example:
        >>> import torch
        >>> x = torch.ones(2)
        >>> try:
        ...     torch.autograd.grad(x.sum(), x)
        ... except RuntimeError as error:
        ...     print(needs_graph(error))
        True
    """
    causes = ("does not require grad", "modified by an inplace operation")
    return isinstance(error, RuntimeError) and any(cause in str(error) for cause in causes)


def shapes(value: object) -> str:
    """Return the shapes and types of the tensors in ``value``, for a message.

    A long list or tuple is shown by its length and its first member.

    Example:
        >>> import torch
        >>> shapes((torch.zeros(2, 3), 1))
        '(float32 (2, 3), 1)'
        >>> shapes(torch.zeros(64, 30).tolist())
        'list of 64, first list of 30, first 0.0'
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        if len(value) > MOST_SHAPES:
            return f"{type(value).__name__} of {len(value)}, first {shapes(value[0])}"
        return f"({', '.join(map(shapes, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shapes(part)}" for key, part in value.items()) + "}"
    return repr(value) if isinstance(value, int | float | str | None) else type(value).__name__


def run(model: Model, batch: Any) -> Any:
    """Return the model's output on ``batch``: a tensor, (inputs, targets), or keyword arguments.

    Inputs that are a tuple hold several arguments.

    Raises:
        InitBenchError: the model does not take the batch.

    Example:
        >>> import torch
        >>> run(torch.nn.Linear(3, 2), (torch.ones(4, 3), torch.ones(4))).shape
        torch.Size([4, 2])
    """
    inputs = batch[0] if isinstance(batch, tuple | list) else batch
    try:
        return call(model, inputs)
    except InitBenchError:
        raise
    except Exception as cause:  # whatever the user's forward function raises
        raise InitBenchError(
            f"the model does not take the batch {_shown(inputs)}: {cause}"
        ) from cause


def _shown(inputs: Any) -> str:
    if isinstance(inputs, Tensor):
        return f"of shape {tuple(inputs.shape)} and {inputs.dtype}"
    return f"of type {type(inputs).__name__}"


def first_argument(inputs: Any) -> Any:
    """Return the first argument in ``inputs``: of a tuple, of a mapping, or ``inputs`` itself.

    Example:
        >>> first_argument((1, 2)), first_argument({"x": 3, "y": 4}), first_argument([5])
        (1, 3, [5])
    """
    return next(iter(arguments_of(inputs)), inputs)


def arguments_of(inputs: Any) -> tuple[Any, ...]:
    """Return the arguments in ``inputs``: those of a tuple or mapping, or ``inputs`` itself.

    Example:
        >>> arguments_of((1, 2)), arguments_of({"x": 3}), arguments_of([5])
        ((1, 2), (3,), ([5],))
    """
    if isinstance(inputs, Mapping):
        return tuple(inputs.values())
    return inputs if isinstance(inputs, tuple) else (inputs,)


def number_of_samples(inputs: Any) -> int | None:
    """Return the number of samples in the first argument; a list, as of images, has one each."""
    first = first_argument(inputs)
    if isinstance(first, list):
        return len(first)
    tensor = next(dense_tensors(first), None)
    return None if tensor is None or tensor.dim() == 0 else len(tensor)


def check_scalar(loss: object) -> None:
    """Refuse a loss that is no scalar tensor."""
    if not isinstance(loss, Tensor):
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got a {type(loss).__name__}: its gradients are "
            f"needed, so leave out .item()"
        )
    if loss.numel() != 1:
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got {shapes(loss)}: reduce it, as .mean() does"
        )
