"""Find the tensors inside a model's inputs and outputs, however these are nested."""

from collections.abc import Iterator, Mapping
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


def dense_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in ``value`` that statistics can be taken of.

    Example:
        >>> [len(x) for x in dense_tensors((torch.ones(2), {"edges": torch.eye(3).to_sparse()}))]
        [2]
    """
    return (x for x in tensors_in(value) if x.layout is torch.strided and not x.is_nested)


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
    dense = tensor.layout is torch.strided and not tensor.is_nested
    real = tensor.is_floating_point() or tensor.is_complex()
    return dense and real and tensor.dim() > 0 and tensor.numel() > 0
