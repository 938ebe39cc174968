"""Refuse what an initializer cannot fill, and say what to do instead."""

import sys
import warnings

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from init_bench.errors import InitBenchError

_PLAIN = (torch.Tensor, nn.Parameter)


def check_target(tensor: Tensor) -> None:
    """Refuse what no value can be written to.

    Views may be filled, of parameters that require gradients too. Meta tensors pass: torch's
    in-place functions do nothing to them.

    Raises:
        InitBenchError: ``tensor`` is no tensor, is lazy, distributed or computed from others.

    Example:
        >>> check_target(torch.ones(3, requires_grad=True) * 2)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: the tensor of shape (3,) was computed ...
    """
    if type(tensor) not in _PLAIN:
        _check_kind(tensor)
    # A view's own grad_fn cannot be read once another chunk of its base was filled.
    base = tensor._base if tensor._is_view() else tensor
    if base is not None and base.grad_fn is not None:
        raise InitBenchError(
            f"the tensor of shape {tuple(tensor.shape)} was computed ({base.grad_fn.name()}), so "
            f"filling it would be lost. If it is the weight of a parametrized module "
            f"(weight_norm, spectral_norm, ...), use init_bench.initialize(module, ...), or fill "
            f"a new tensor and assign it: module.weight = w. Otherwise fill it before computing "
            f"with it, or detach() it"
        )


def check_values(tensor: Tensor) -> None:
    """Refuse what cannot be filled with values that differ from element to element.

    Raises:
        InitBenchError: as ``check_target``, or ``tensor`` is expanded.

    Example:
        >>> check_values(torch.ones(3, 1).expand(3, 4))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: the tensor of shape (3, 4) is expanded: several of its elements share one place in memory and cannot differ; fill the tensor it was expanded from, or a clone()
    """  # noqa: E501 - the doctest shows the message as a user sees it
    check_target(tensor)
    if 0 not in tensor.stride() or not tensor.numel():
        return
    if any(s == 0 and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True)):
        raise InitBenchError(
            f"the tensor of shape {tuple(tensor.shape)} is expanded: several of its elements "
            f"share one place in memory and cannot differ; fill the tensor it was expanded from, "
            f"or a clone()"
        )


def writable(tensor: Tensor) -> Tensor:
    """Return ``tensor``, detached where autograd would note, or refuse, that it is written to.

    ``detach()`` shares memory and version counter, and costs a tenth of ``no_grad()``.

    Example:
        >>> weight = nn.Parameter(torch.ones(2))
        >>> writable(weight).zero_().data_ptr() == weight.data_ptr()
        True
    """
    return tensor.detach() if tensor.requires_grad or tensor._is_view() else tensor


def check_draws(tensor: Tensor) -> None:
    """Refuse what cannot be filled with draws from a continuous distribution.

    Raises:
        InitBenchError: as ``check_values``, or ``tensor`` holds integers.

    Example:
        >>> check_draws(torch.ones(3, dtype=torch.int8))
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: the tensor of shape (3,) is of torch.int8, which holds no draws; fill a floating-point tensor and convert it
    """  # noqa: E501 - the doctest shows the message as a user sees it
    check_values(tensor)
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise InitBenchError(
            f"the tensor of shape {tuple(tensor.shape)} is of {tensor.dtype}, which holds no "
            f"draws; fill a floating-point tensor and convert it"
        )


def warn_if_empty(tensor: Tensor) -> None:
    """Warn of a tensor without elements, as torch does, at the line that called its initializer."""
    if not tensor.numel():
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)


def check_dimensions(tensor: Tensor, allowed: range, init: str) -> None:
    """Refuse a tensor whose number of dimensions is not ``allowed``, with its shape.

    Raises:
        InitBenchError: it is not.
    """
    if tensor.dim() not in allowed:
        numbers = " or ".join(map(str, allowed))
        words = f"{allowed.start} or more" if len(allowed) > 3 else numbers
        raise InitBenchError(
            f"{init} needs a weight of {words} dimensions (n_out, n_in, *kernel), "
            f"got shape {tuple(tensor.shape)}"
        )


def _check_kind(tensor: object) -> None:
    if not isinstance(tensor, Tensor):
        raise InitBenchError(f"an initializer fills a tensor, got {type(tensor).__name__}")
    if is_lazy(tensor):
        raise InitBenchError(
            "the parameter is lazy and has no shape yet: run one batch through the model, "
            "model(batch), then initialize it"
        )
    # Who holds a distributed tensor has loaded its module; others do not wait for it.
    distributed = sys.modules.get("torch.distributed.tensor")
    if distributed is not None and isinstance(tensor, distributed.DTensor):
        raise InitBenchError(
            f"the tensor of shape {tuple(tensor.shape)} is distributed: fill a plain tensor of "
            f"that shape on every rank from the same seed, then "
            f"w.copy_(distribute_tensor(full, w.device_mesh, w.placements)) under no_grad"
        )
