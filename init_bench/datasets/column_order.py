"""Sort the columns of inputs by use, so that a minibatch needs only the leading ones."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

PIXEL = 255.0
"""By which the bytes of pixels are divided."""


ROWS = 256
"""Samples counted together: bounds the memory of the count."""


@dataclass(frozen=True, eq=False)
class NonzeroPixels:
    """Hold images by their pixels that are not 0, one image after the other.

    Attributes:
        starts: ``(N + 1,)``: where each image begins, and the end of the last.
        columns: uint16, of each pixel; there are no more than 65536.
        pixels: bytes.
    """

    starts: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class SortedColumns:
    """Hold samples with the columns that are non-zero most often first.

    A column that is 0 in a whole minibatch adds nothing to the first layer's product, nor to its
    gradient. Sorted by use, such columns stand together at the end and can be left out.

    Bytes stay bytes, a quarter of the memory to hold and to gather from.

    Attributes:
        stored: ``(N, features)``, values, or bytes of pixels, whose values are ``stored / 255``;
            column j is column ``order[j]`` of the data.
        order: ``(features,)`` int64, on the device of what is stored.
        used: ``(N,)`` int64 on the CPU: leading columns that the sample needs, at least 1.
        density: share of values that are not 0.
    """

    stored: Tensor
    order: Tensor
    used: Tensor
    density: float

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return self.stored.dtype if self.stored.is_floating_point() else torch.float32

    def values(self, rows: slice = slice(None)) -> Tensor:
        """Return the values of samples, ``(rows, features)``."""
        chosen = self.stored[rows]
        if chosen.is_floating_point():
            return chosen
        return chosen / _pixel(chosen.device)

    def take(self, samples: Tensor, columns: int, out: Tensor) -> Tensor:
        """Return the leading columns of some samples, which are written into ``out``.

        Shapes:
            samples: ``(B,)``; out: ``(B, features)``; the result: ``(B, columns)``.
        """
        leading = out[:, :columns]
        if self.stored.is_floating_point():
            torch.index_select(self.stored, 0, samples, out=out)
            return leading
        chosen = self.stored.index_select(0, samples)[:, :columns]
        return torch.div(chosen, _pixel(chosen.device), out=leading)

    @cached_property
    def nonzero(self) -> "NonzeroPixels":
        """The pixels that are not 0, on the CPU; what is stored must be bytes there."""
        stored = self.stored.numpy()
        starts = np.zeros(len(stored) + 1, np.int64)
        pieces = [slice(first, first + ROWS) for first in range(0, len(stored), ROWS)]
        for piece in pieces:
            starts[1:][piece] = np.count_nonzero(stored[piece], axis=1)
        np.cumsum(starts, out=starts)
        columns, pixels = np.empty(starts[-1], np.uint16), np.empty(starts[-1], np.uint8)
        for piece in pieces:
            place, rows = slice(starts[piece.start], starts[1:][piece][-1]), stored[piece]
            nonzero = rows.nonzero()
            columns[place], pixels[place] = nonzero[1], rows[nonzero]
        return NonzeroPixels(starts, columns, pixels)

    def restored(self, rows: slice = slice(None)) -> Tensor:
        """Return the values of samples with their columns in the order of the data."""
        return self.values(rows).index_select(1, self.order.argsort())

    def to(self, device: torch.device) -> "SortedColumns":
        """Return the same on ``device``."""
        return replace(self, stored=self.stored.to(device), order=self.order.to(device))


def _pixel(device: torch.device) -> Tensor:
    """Return ``PIXEL`` on a device: a number CUDA multiplies by 1/255, which rounds otherwise."""
    return torch.tensor(PIXEL, dtype=torch.float32).to(device)


def sort_columns(raw: Tensor) -> SortedColumns:
    """Return ``raw`` with columns in order of falling use.

    Shapes:
        raw: ``(N, features)``, floating point, or bytes of pixels.

    Example:
        >>> ordered = sort_columns(torch.tensor([[0, 255, 0], [0, 51, 255]], dtype=torch.uint8))
        >>> ordered.order.tolist(), ordered.used.tolist()
        ([1, 2, 0], [1, 2])
        >>> ordered.restored()
        tensor([[0.0000, 1.0000, 0.0000],
                [0.0000, 0.2000, 1.0000]])
    """
    counts = torch.stack([(rows != 0).sum(dim=0) for rows in torch.split(raw, ROWS)]).sum(dim=0)
    order = counts.argsort(descending=True, stable=True)
    ordered = torch.empty_like(raw)
    position = torch.arange(1, raw.shape[1] + 1, dtype=torch.int32, device=raw.device)
    used = []
    for rows, target in zip(torch.split(raw, ROWS), torch.split(ordered, ROWS), strict=True):
        target.copy_(rows.index_select(1, order))
        used.append(((target != 0) * position).amax(dim=1))
    density = int(counts.sum()) / max(raw.numel(), 1)
    return SortedColumns(ordered, order, torch.cat(used).cpu().long().clamp_min(1), density)
