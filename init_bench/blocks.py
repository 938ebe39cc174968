"""One pass over a layer's values, in pieces that stay in cache: the sums its statistics stand on.

With s[j] a value of unit j and c about the mean of s, a value is z[i, j] = D[i, j] + U[j] + c:
D = z - s depends on the sample, U = s - c on the unit. The difference of near numbers is exact, so
nothing is lost where the spread is a millionth of the mean.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

EXACT_VALUES = 2**18
"""Up to this many values everything is float64; it costs little there."""

_SHIFT_SAMPLES = 64
"""Of more samples than these, s is the mean of the first: one alone might lie far from all."""

_SAFE_SIZES = (2.0**-40, 2.0**40)
"""Where squares and their sums are far from the ends of float32."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What one pass over ``(samples, units)`` values yields.

    Attributes:
        low, high: least and greatest value; nan where a value is nan.
        zeros, near_ends: how many values are 0, and beyond either of two ends.
        constant_units: how many units are the same for all samples.
        mean: over all values.
        within: mean over units of the variance over samples.
        between: variance over units of the mean over samples.
        unit_low, unit_high: least and greatest value of each unit, on its device.
    """

    low: float
    high: float
    zeros: float
    near_ends: float
    constant_units: float
    mean: float
    within: float
    between: float
    unit_low: Tensor
    unit_high: Tensor

    @property
    def size_is_extreme(self) -> bool:
        """Whether squares of the values may have left the range of the numbers summed in."""
        size = max(abs(self.low), abs(self.high))
        return size > 0 and not _SAFE_SIZES[0] < size < _SAFE_SIZES[1]


def sums(z: Tensor, ends: tuple[float, float] | None = None) -> Sums:
    """Return the sums of ``z``, ``(samples, units)``, any floating dtype, any device.

    Beyond ``EXACT_VALUES`` values a piece is summed in float32 and the pieces in float64. Numbers
    come from the device in one transfer.

    Example:
        >>> found = sums(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> found.mean, found.within, found.between, found.constant_units
        (1.0, 0.5, 0.0, 1.0)
    """
    return _Pass(exact(z) if z.numel() <= EXACT_VALUES else z, ends).result()


def exact(z: Tensor) -> Tensor:
    """Return ``z`` in float64, or in float32 on a device that has no float64."""
    return z.to(torch.float32 if z.device.type == "mps" else torch.float64)


class _Pass:
    """The pass itself, on the device of the values. A piece is some units of all samples, a tile
    some samples of it; few operations each, as at this size calling costs as much as computing."""

    def __init__(self, z: Tensor, ends: tuple[float, float] | None) -> None:
        samples, units = z.shape
        self.z, self.ends = z, ends
        self.narrow = z.dtype if z.dtype == torch.float64 else torch.float32
        size = _piece(z.device)
        self.width = min(units, max(1, size // min(samples, _SHIFT_SAMPLES)))
        self.height = min(samples, max(1, size // self.width))
        self.scratch = z.new_empty((self.height, self.width), dtype=self.narrow)
        self.low, self.high = z.new_empty((2, units))
        few = samples <= _SHIFT_SAMPLES
        self.shift = z[0].to(self.narrow) if few else z[:_SHIFT_SAMPLES].mean(0, dtype=self.narrow)
        self.total = z.new_zeros(units, dtype=self.narrow)
        self.squares: list[Tensor] = []
        self.counts: list[Tensor] = []
        for start in range(0, units, self.width):
            self._add(slice(start, min(start + self.width, units)))

    def _add(self, units: slice) -> None:
        piece, shift = self.z[:, units], self.shift[units]
        torch.amin(piece, dim=0, out=self.low[units])
        torch.amax(piece, dim=0, out=self.high[units])
        for top in range(0, piece.shape[0], self.height):
            tile = piece[top : top + self.height]
            scratch = self.scratch[: tile.shape[0], : tile.shape[1]]
            deviation = torch.sub(tile, shift, out=scratch)
            self.total[units] += deviation.sum(dim=0)
            self.squares.append(deviation.square_().sum())
            self._count(tile, scratch)

    def _count(self, tile: Tensor, scratch: Tensor) -> None:
        """Note zeros and values beyond the ends; sums of this many 0 and 1 are exact."""
        self.counts.append(torch.eq(tile, 0, out=scratch).sum())
        if self.ends is not None:
            self.counts.append(torch.le(tile, self.ends[0], out=scratch).sum())
            self.counts.append(torch.ge(tile, self.ends[1], out=scratch).sum())

    def result(self) -> Sums:
        """Bring the sums over and put them together."""
        samples, units = self.z.shape
        common = self.shift.mean()
        unit = (self.shift - common).add_(self.total, alpha=1 / samples)
        few = [common, self.low.amin(), self.high.amax(), unit.sum(), unit.square_().sum()]
        few += [torch.eq(self.low, self.high, out=unit).sum(), self.total.dot(self.total)]
        per_tile = 1 if self.ends is None else 3
        parts = [torch.stack(part) for part in (few, self.squares, self.counts)]
        packed = torch.cat(parts).cpu().double().numpy()
        scalars, squares, counts = np.split(packed, np.cumsum([len(p) for p in parts[:-1]]))
        c, low, high, sum_unit, square_unit, constant_units, square_total = scalars.tolist()
        zeros, *near = counts.reshape(-1, per_tile).sum(axis=0).tolist()
        within = (float(squares.sum()) - square_total / samples) / samples / units
        return Sums(
            low=low,
            high=high,
            zeros=zeros,
            near_ends=sum(near),
            constant_units=constant_units,
            mean=c + sum_unit / units,
            within=0.0 if constant_units == units else max(within, 0.0),
            between=max(square_unit / units - (sum_unit / units) ** 2, 0.0),
            unit_low=self.low,
            unit_high=self.high,
        )


def _piece(device: torch.device) -> int:
    """Values of a piece: 512 kB and as much for D stay in a core's cache; an accelerator pays for
    each launch instead."""
    return 2**17 if device.type == "cpu" else 2**24
