"""Restore what a forward pass may change besides torch's own state: Python's RNGs, attributes."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from init_bench.hooks.isolation import preserved_state, saved_places
from init_bench.hooks.nested_tensors import is_dense

_OWN = {"_parameters", "_buffers", "_modules", "_trainer", "_fabric"}
"""Attributes that torch restores, or that belong to a trainer."""


@contextmanager
def preserved_python_state(model: nn.Module) -> Iterator[None]:
    """Restore the RNGs of ``random`` and NumPy, and what modules count, when the block ends.

    Counters, lists, dictionaries, tensors and generators that are attributes of a module get their
    values back: a metric that adds up predictions holds such.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> layer.calls = 0
        >>> with preserved_python_state(layer):
        ...     layer.calls += 1
        >>> layer.calls
        0
    """
    python, numpy = random.getstate(), np.random.get_state()
    restores = [_saved_attributes(module) for module in model.modules()]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for restore in restores:
            restore()


@contextmanager
def preserved_attributes(model: nn.Module) -> Iterator[None]:
    """Restore what ``preserved_python_state`` and ``preserved_state`` do, and which members exist.

    For a forward function that runs on what is no tensor, and may keep it. The values of parameters
    are not copied.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> with preserved_attributes(layer):
        ...     layer.last, layer.bias = "signal", None
        >>> hasattr(layer, "last"), layer.bias is None
        (False, False)
    """
    restore_places = saved_places(model)
    with preserved_python_state(model), preserved_state(model):
        try:
            yield
        finally:
            restore_places()


def _saved_attributes(module: nn.Module) -> Callable[[], None]:
    values = {name: value for name, value in vars(module).items() if name not in _OWN}
    contents = {name: _contents(value) for name, value in values.items()}

    def restore() -> None:
        own = vars(module)
        for name in own.keys() - values.keys() - _OWN:
            del own[name]
        for name, value in values.items():
            own[name] = value
            _refill(value, contents[name])

    return restore


def _contents(value: Any) -> Any:
    """Return a copy of what a container, tensor or generator holds, ``None`` of others.

    Sparse and nested tensors, and those on the device ``meta``, cannot be compared.
    """
    if isinstance(value, Tensor):
        return value.detach().clone() if is_dense(value) and not value.is_meta else None
    if isinstance(value, torch.Generator):
        return value.get_state()
    return copy.copy(value) if type(value) in (list, dict, set) else None


def _refill(value: Any, content: Any) -> None:
    """Put ``content`` back into ``value``, where it changed in place."""
    if content is None:
        return
    if isinstance(value, Tensor):
        if not torch.equal(value.detach(), content):
            value.data.copy_(content)
    elif isinstance(value, torch.Generator):
        value.set_state(content)
    elif type(value) is list:
        value[:] = content
    elif type(value) in (dict, set):
        value.clear()
        value.update(content)
