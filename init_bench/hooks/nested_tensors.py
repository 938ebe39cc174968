"""Find the tensors inside a model's inputs and outputs, however these are nested."""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples, mappings and dataclasses.

    Example:
        >>> nested = {"a": torch.ones(2), "b": [torch.ones(3)]}
        >>> [len(tensor) for tensor in tensors_in(nested)]
        [2, 3]
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for part in value.values() for tensor in tensors_in(part))
    elif isinstance(value, tuple | list):
        yield from (tensor for part in value for tensor in tensors_in(part))
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in fields(value)]
        yield from tensors_in(parts)


def map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return ``value`` with each tensor replaced by what ``change`` makes of it.

    Lists, tuples, mappings and dataclasses are copied; whatever else they hold stays.

    Example:
        >>> map_tensors(lambda x: 0 * x, {"a": torch.ones(2), "b": (3, [torch.ones(1)])})
        {'a': tensor([0., 0.]), 'b': (3, [tensor([0.])])}
    """
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        mapping = copy.copy(value) if isinstance(value, MutableMapping) else dict(value)
        for key, part in value.items():
            mapping[key] = map_tensors(change, part)
        return mapping
    if isinstance(value, tuple | list):
        parts = [map_tensors(change, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if is_dataclass(value) and not isinstance(value, type):
        changed = copy.copy(value)
        for field in fields(value):
            part = map_tensors(change, getattr(value, field.name))
            object.__setattr__(changed, field.name, part)
        return changed
    return value


def dense_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in ``value`` that statistics can be taken of.

    Example:
        >>> [len(x) for x in dense_tensors((torch.ones(2), {"edges": torch.eye(3).to_sparse()}))]
        [2]
    """
    return filter(is_dense, tensors_in(value))


def is_dense(tensor: Tensor) -> bool:
    """Return whether ``tensor`` is neither sparse nor nested.

    Example:
        >>> is_dense(torch.eye(3)), is_dense(torch.eye(3).to_sparse())
        (True, False)
    """
    return tensor.layout is torch.strided and not tensor.is_nested


def nonfinite_in(value: Any) -> int:
    """Return how many numbers in the dense tensors of ``value`` are nan or ±inf.

    Example:
        >>> nonfinite_in([torch.tensor([1.0, torch.nan]), torch.tensor([2])])
        1
    """
    return sum(int((~x.isfinite()).sum()) for x in dense_tensors(value))


def first_tensor(value: object) -> Tensor | None:
    """Return the first tensor inside ``value`` that has statistics: dense, real or complex, a
    dimension of samples, not empty. ``value`` may be nested tuples, lists, mappings, dataclasses.

    Example:
        >>> first_tensor({"ids": torch.tensor([1]), "states": (torch.ones(2),)})
        tensor([1., 1.])
    """
    return next(filter(_has_statistics, tensors_in(value)), None)


def _has_statistics(tensor: Tensor) -> bool:
    real = tensor.is_floating_point() or tensor.is_complex()
    return is_dense(tensor) and real and tensor.dim() > 0 and tensor.numel() > 0
