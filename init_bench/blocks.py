"""One pass over a layer's values, in pieces that stay in cache: the sums its statistics stand on.

With s[j] about the mean of unit j over samples and c about the mean of s, a value is
z[i, j] = D[i, j] + U[j] + c: D = z - s depends on the sample, U = s - c on the unit. The difference
of near numbers is exact, so nothing is lost where the spread is a millionth of the mean; and all
second moments of D, U and 1 come from one matrix product.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

COMPARED_SAMPLES = 64
"""Inner products are taken between this many samples (the first) at most."""

EXACT_VALUES = 2**18
"""Up to this many values everything is float64; it costs little there."""

PRECISION = {torch.float64: 1e-14, torch.float32: 1e-6}
"""Share of a sum of products that may be rounding."""

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
        products: inner products of the first samples with each other, float64.
        centred: the same after each sample's mean over units was taken off.
        about_common: squared norms of the first samples less the number c.
        spread: squared norms of the first samples less the mean sample: of D.
        precision: share of either that may be rounding.
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
    products: Array
    centred: Array
    about_common: Array
    spread: Array
    precision: float
    unit_low: Tensor
    unit_high: Tensor

    @property
    def size_is_extreme(self) -> bool:
        """Whether squares of the values may have left the range of the numbers summed in."""
        size = max(abs(self.low), abs(self.high))
        inside = _SAFE_SIZES[0] < size < _SAFE_SIZES[1]
        return size > 0 and not inside


def sums(z: Tensor, ends: tuple[float, float] | None = None) -> Sums:
    """Return the sums of ``z``, ``(samples, units)``, any floating dtype, any device.

    Beyond ``EXACT_VALUES`` values a piece is summed in float32 and the pieces in float64 (the first
    samples still in float64 where they are as few); on a device without float64 all is float32.
    Numbers come from the device in one transfer.

    Example:
        >>> found = sums(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> found.mean, found.within, found.between, found.constant_units
        (1.0, 0.5, 0.0, 1.0)
    """
    wide = torch.float32 if z.device.type == "mps" else torch.float64
    if z.numel() <= EXACT_VALUES:
        z = z.to(wide)
    return _assembled(_Running(z, ends, wide))


class _Running:
    """Sums on their way, on the device of the values; a piece is some units of all samples.

    Few operations a piece: at this size each costs as much to call as to compute.
    """

    def __init__(self, z: Tensor, ends: tuple[float, float] | None, wide: torch.dtype) -> None:
        samples, units = z.shape
        self.z, self.ends, self.wide = z, ends, wide
        self.narrow = z.dtype if z.dtype == torch.float64 else torch.float32
        self.head = min(samples, COMPARED_SAMPLES)
        self.width = min(units, max(1, _piece(z.device) // self.head))
        self.height = min(samples, max(self.head, _piece(z.device) // self.width))
        exact = wide if self.head * units <= EXACT_VALUES else self.narrow
        self.first = z.new_empty((self.head, self.width), dtype=exact)
        self.scratch = z.new_empty((self.height, self.width), dtype=self.narrow)
        self.low, self.high = z.new_empty((2, units))
        self.shift, self.unit = z.new_empty((2, units), dtype=self.narrow)
        self.rest = z.new_zeros(units if samples > self.head else 0, dtype=self.narrow)
        self.gram: list[Tensor] = []
        self.along: list[Tensor] = []
        self.counts: list[Tensor] = []
        self.squares = [z.new_zeros((), dtype=self.narrow)]
        for start in range(0, units, self.width):
            self._add(slice(start, min(start + self.width, units)))

    def _add(self, units: slice) -> None:
        piece, shift, unit = self.z[:, units], self.shift[units], self.unit[units]
        torch.amin(piece, dim=0, out=self.low[units])
        torch.amax(piece, dim=0, out=self.high[units])
        torch.mean(piece, dim=0, dtype=self.narrow, out=shift)
        if not self.gram:
            self.common = shift.mean(dtype=self.wide).to(self.narrow)
        torch.sub(shift, self.common, out=unit)
        first = torch.sub(piece[: self.head], shift, out=self.first[:, : piece.shape[1]])
        self.gram.append(first @ first.T)
        self.along += [first @ unit.to(first.dtype), first.sum(dim=1)]
        if piece.shape[0] > self.head:
            self._add_rest(piece[self.head :], shift, self.rest[units])
            self.along.append(first @ self.rest[units].to(first.dtype))
        for top in range(0, piece.shape[0], self.height):
            self._count(piece[top : top + self.height])

    def _add_rest(self, rest: Tensor, shift: Tensor, total: Tensor) -> None:
        """Add D over samples that are not among the first to ``total``; note its squares."""
        for top in range(0, rest.shape[0], self.height):
            tile = rest[top : top + self.height]
            deviation = torch.sub(tile, shift, out=self._scratch(tile))
            total += deviation.sum(dim=0)
            self.squares.append(torch.linalg.vector_norm(deviation).square())

    def _count(self, tile: Tensor) -> None:
        """Note zeros and values beyond the ends; sums of this many 0 and 1 are exact."""
        scratch = self._scratch(tile)
        self.counts.append(torch.eq(tile, 0, out=scratch).sum())
        if self.ends is not None:
            self.counts.append(torch.le(tile, self.ends[0], out=scratch).sum())
            self.counts.append(torch.ge(tile, self.ends[1], out=scratch).sum())

    def _scratch(self, tile: Tensor) -> Tensor:
        return self.scratch[: tile.shape[0], : tile.shape[1]]

    def numbers(self) -> tuple[list[float], Array, Array]:
        """Return c, low, high, constant units, U·U, U·1, R·U, R·1, R·R, the rest's squares, zeros,
        near ends; the products of D with itself; and those with U, 1 and R, the rest's sum of D."""
        unit, rest, zero = self.unit, self.rest, self.squares[0]
        few = [self.common, self.low.amin(), self.high.amax()]
        few += [
            torch.eq(self.low, self.high, out=self.shift).sum(),
            unit.square().sum(),
            unit.sum(),
        ]
        few += [(rest * unit).sum(), rest.sum(), rest.square().sum()] if len(rest) else [zero] * 3
        per_tile, per_piece = 1 if self.ends is None else 3, 3 if len(rest) else 2
        parts = [torch.stack(p).flatten() for p in (few, self.squares, self.counts, self.along)]
        packed = torch.cat([*parts, torch.stack(self.gram).flatten()]).cpu().double().numpy()
        ends = np.cumsum([len(part) for part in parts])
        scalars, squares, counts, along, gram = np.split(packed, ends)
        summed = counts.reshape(-1, per_tile).sum(axis=0).tolist()
        return (
            [*scalars.tolist(), float(squares.sum()), *summed],
            gram.reshape(-1, self.head, self.head).sum(axis=0),
            along.reshape(-1, per_piece, self.head).sum(axis=0),
        )


def _piece(device: torch.device) -> int:
    """Values of a piece: 256 kB and as much for D stay in a core's cache; an accelerator pays for
    each launch instead."""
    return 2**16 if device.type == "cpu" else 2**24


def _assembled(running: _Running) -> Sums:
    """Return what the statistics need, from inner products of D, U, 1 and R."""
    numbers, gram, (with_unit, with_one, *with_rest) = running.numbers()
    c, low, high, constant, unit_unit, unit_one, *numbers = numbers
    rest_unit, rest_one, rest_rest, squares, zeros, *near = numbers
    samples, units = running.z.shape
    # The mean of D over all samples, near 0: what rounding left of each unit's mean.
    left_one = (float(with_one.sum()) + rest_one) / samples
    left_unit = (float(with_unit.sum()) + rest_unit) / samples
    left_left = float(gram.sum()) + 2 * sum(float(w.sum()) for w in with_rest) + rest_rest
    left_left /= samples**2
    spread, total = np.diagonal(gram), with_one + unit_one
    offset = (unit_one + left_one) / units
    within = ((float(spread.sum()) + squares) / samples - left_left) / units
    between = (unit_unit + 2 * left_unit + left_left) / units - offset**2
    about_c = gram + (with_unit + with_unit[:, None] + unit_unit)
    return Sums(
        low=low,
        high=high,
        zeros=zeros,
        near_ends=sum(near),
        constant_units=constant,
        mean=c + offset,
        within=0.0 if constant == units else max(within, 0.0),
        between=max(between, 0.0),
        products=about_c + (c * (total + total[:, None]) + c * c * units),
        centred=about_c - total * (total[:, None] / units),
        about_common=np.diagonal(about_c),
        spread=spread,
        precision=PRECISION[running.first.dtype],
        unit_low=running.low,
        unit_high=running.high,
    )
