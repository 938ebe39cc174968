"""Wrap torch's own initializers: same names, drawing from a given generator."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import drawing_from

DEFAULT = "torch.default"
"""What each module's ``reset_parameters`` does; it sees the module, not one tensor."""


def _builtins() -> dict[str, Callable[..., Tensor]]:
    """Return every in-place initializer of ``torch.nn.init`` under ``torch.NAME``."""
    named = inspect.getmembers(nn.init, inspect.isfunction)
    public = {name: fill for name, fill in named if name[0] != "_" and name.endswith("_")}
    return {f"torch.{name[:-1]}": _wrapped(fill) for name, fill in public.items()}


def _wrapped(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give ``fill`` a stream that it cannot escape and errors that name the function."""

    @functools.wraps(fill)
    def init_(
        tensor: Tensor, *, generator: torch.Generator | None = None, **arguments: Any
    ) -> Tensor:
        try:
            with drawing_from(generator or torch.default_generator):
                return fill(tensor, **arguments)
        except (ValueError, TypeError, RuntimeError, NotImplementedError) as cause:
            raise InitBenchError(
                f"torch.nn.init.{fill.__name__} refuses a weight of shape {tuple(tensor.shape)}: "
                f"{cause}"
            ) from cause

    return init_


TORCH_INITS: dict[str, Callable[..., Tensor]] = _builtins()


def reset_(module: nn.Module, *, generator: torch.Generator) -> None:
    """Fill ``module``'s own parameters as torch does when it builds the module.

    Source:
        ``reset_parameters`` of the module's class, which a few of torch's call
        ``_reset_parameters``.

    Example:
        >>> layer = nn.Linear(4, 3)
        >>> reset_(layer, generator=torch.Generator().manual_seed(1))
        >>> layer.weight.abs().max().item() <= 0.5
        True
    """
    reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
    if reset is None:
        return
    if all(value.is_meta for value in module.parameters(recurse=False)):
        reset()  # nothing is drawn: no generator that draws on the CPU
        return
    with drawing_from(generator):
        reset()
