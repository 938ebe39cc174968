"""Inputs with their columns sorted by use, so that a minibatch needs only the leading ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 4096
"""Samples looked at together: bounds the memory of the count."""


@dataclass(frozen=True, eq=False)
class SortedColumns:
    """The same samples, the columns that are non-zero most often first.

    A column that is 0 in a whole minibatch adds nothing to the first layer's product, nor to its
    gradient. Sorted by use, such columns stand together at the end and can be left out.

    Attributes:
        inputs: ``(N, features)``, column j being column ``order[j]`` of the data.
        order: ``(features,)`` int64, on the device of the inputs.
        used: ``(N,)`` int64 on the CPU: leading columns that the sample needs, at least 1.
    """

    inputs: Tensor
    order: Tensor
    used: Tensor


def sort_columns(inputs: Tensor) -> SortedColumns:
    """Return ``inputs`` with columns in order of falling use.

    Shapes:
        inputs: ``(N, features)``.

    Example:
        >>> ordered = sort_columns(torch.tensor([[0.0, 5.0, 0.0], [0.0, 3.0, 1.0]]))
        >>> ordered.order.tolist(), ordered.used.tolist()
        ([1, 2, 0], [1, 2])
    """
    counts = sum((rows != 0).sum(dim=0) for rows in torch.split(inputs, ROWS))
    order = torch.as_tensor(counts).argsort(descending=True, stable=True)
    ordered = inputs.index_select(1, order)
    position = torch.arange(1, inputs.shape[1] + 1, dtype=torch.int32, device=inputs.device)
    used = [((rows != 0) * position).amax(dim=1) for rows in torch.split(ordered, ROWS)]
    return SortedColumns(ordered, order, torch.cat(used).cpu().long().clamp_min(1))
