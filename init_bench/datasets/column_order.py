"""Sort the columns of inputs by use, so that a minibatch needs only the leading ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 256
"""Samples counted together: bounds the memory of the count."""


@dataclass(frozen=True, eq=False)
class SortedColumns:
    """Hold samples with the columns that are non-zero most often first.

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

    def restored(self, rows: slice = slice(None)) -> Tensor:
        """Return samples with their columns in the order of the data."""
        return self.inputs[rows].index_select(1, self.order.argsort())

    def to(self, device: torch.device) -> "SortedColumns":
        """Return the same on ``device``."""
        return SortedColumns(self.inputs.to(device), self.order.to(device), self.used)


def sort_columns(raw: Tensor, scale: float = 1.0) -> SortedColumns:
    """Return ``raw / scale`` with columns in order of falling use.

    Bytes become float32, which is made once, sorted, in pieces: an unsorted copy would be as large.

    Shapes:
        raw: ``(N, features)``, bytes or floating point.

    Example:
        >>> ordered = sort_columns(torch.tensor([[0.0, 5.0, 0.0], [0.0, 3.0, 1.0]]))
        >>> ordered.order.tolist(), ordered.used.tolist()
        ([1, 2, 0], [1, 2])
        >>> ordered.restored()
        tensor([[0., 5., 0.],
                [0., 3., 1.]])
    """
    counts = sum((rows != 0).sum(dim=0) for rows in torch.split(raw, ROWS))
    order = torch.as_tensor(counts).argsort(descending=True, stable=True)
    dtype = raw.dtype if raw.is_floating_point() else torch.float32
    ordered = torch.empty(raw.shape, dtype=dtype, device=raw.device)
    position = torch.arange(1, raw.shape[1] + 1, dtype=torch.int32, device=raw.device)
    used = []
    for rows, target in zip(torch.split(raw, ROWS), torch.split(ordered, ROWS), strict=True):
        target.copy_(rows.index_select(1, order)).div_(scale)
        used.append(((target != 0) * position).amax(dim=1))
    return SortedColumns(ordered, order, torch.cat(used).cpu().long().clamp_min(1))
