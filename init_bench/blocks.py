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
    running = _Running(z, ends, wide)
    for start in range(0, z.shape[1], running.width):
        running.add(start)
    return _assembled(running)


class _Running:
    """Sums on their way, on the device of the values; a piece is some units of all samples."""

    def __init__(self, z: Tensor, ends: tuple[float, float] | None, wide: torch.dtype) -> None:
        samples, units = z.shape
        self.z, self.ends, self.head = z, ends, min(samples, COMPARED_SAMPLES)
        self.narrow = z.dtype if z.dtype == torch.float64 else torch.float32
        few = self.head * units <= EXACT_VALUES
        self.width = min(units, max(1, _piece(z.device) // self.head))
        self.height = min(samples, max(1, _piece(z.device) // self.width))
        self.first = z.new_empty((self.head, self.width), dtype=wide if few else self.narrow)
        self.scratch = z.new_empty((self.height, self.width), dtype=self.narrow)
        self.gram = z.new_zeros((self.head, self.head), dtype=wide)
        self.along = z.new_zeros((2, self.head), dtype=wide)
        self.low: list[Tensor] = []
        self.high: list[Tensor] = []
        self.counts: list[Tensor] = []
        self.moments: list[Tensor] = []
        self.squares = [z.new_zeros((), dtype=self.narrow)]
        self.common: Tensor | None = None

    def add(self, start: int) -> None:
        """Add the piece whose first unit is ``start``."""
        piece = self.z[:, start : start + self.width]
        units = piece.shape[1]
        low, high = piece.amin(dim=0), piece.amax(dim=0)
        self.low.append(low.amin())
        self.high.append(high.amax())
        shift = piece.mean(dim=0, dtype=self.narrow)
        if self.common is None:
            self.common = shift.mean(dtype=self.gram.dtype).to(self.narrow)
        first = torch.sub(piece[: self.head], shift, out=self.first[:, :units])
        rounding = first.sum(dim=0)
        if piece.shape[0] > self.head:
            rounding += self._sum_of_rest(piece[self.head :], shift)
        rounding /= piece.shape[0]
        unit = (shift - self.common) + rounding
        self.gram += first @ first.T
        self.along[0] += first @ unit
        self.along[1] += first.sum(dim=1)
        constant = torch.eq(low, high, out=shift).sum()
        self.moments += [constant, unit @ unit, unit.sum(), rounding @ rounding]
        for top in range(0, piece.shape[0], self.height):
            self._count(piece[top : top + self.height])

    def _sum_of_rest(self, rest: Tensor, shift: Tensor) -> Tensor:
        """Return the sum of D over samples that are not among the first; note its squares."""
        total = torch.zeros_like(shift)
        for top in range(0, rest.shape[0], self.height):
            tile = rest[top : top + self.height]
            deviation = torch.sub(tile, shift, out=self._scratch(tile))
            total += deviation.sum(dim=0)
            self.squares.append(torch.linalg.vector_norm(deviation).square())
        return total

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
        """Return c, low, high, squares, constant units, U², ΣU, rounding², zeros, near ends; the
        inner products of D; and those of D with U and 1."""
        wide = self.gram.dtype
        assert self.common is not None
        low, high = torch.stack(self.low).amin(), torch.stack(self.high).amax()
        per_tile = 1 if self.ends is None else 3
        few = [
            torch.stack([number.to(wide) for number in (self.common, low, high)]),
            torch.stack(self.squares).sum(dtype=wide).reshape(1),
            torch.stack(self.moments).view(-1, 4).sum(dim=0, dtype=wide),
            torch.stack(self.counts).view(-1, per_tile).sum(dim=0, dtype=wide),
        ]
        packed = torch.cat([*few, self.along.flatten(), self.gram.flatten()]).cpu().double().numpy()
        numbers, along, gram = np.split(packed, (-(2 + self.head) * self.head, -(self.head**2)))
        return numbers.tolist(), gram.reshape(self.head, -1), along.reshape(2, -1)


def _piece(device: torch.device) -> int:
    """Values of a piece: half a megabyte stays in a core's cache; an accelerator pays for each
    launch instead."""
    return 2**17 if device.type == "cpu" else 2**24


def _assembled(running: _Running) -> Sums:
    """Return what the statistics need, from inner products of D, U and 1."""
    numbers, gram, (with_unit, with_one) = running.numbers()
    c, low, high, squares, constant, unit_squares, unit_sum, rounding, zeros, *near = numbers
    samples, units = running.z.shape
    offset = unit_sum / units
    spread = np.diagonal(gram)
    within = ((float(spread.sum()) + squares) / samples - rounding) / units
    about_c = gram + (with_unit + with_unit[:, None] + unit_squares)
    total = with_one + unit_sum
    return Sums(
        low=low,
        high=high,
        zeros=zeros,
        near_ends=sum(near),
        constant_units=constant,
        mean=c + offset,
        within=0.0 if constant == units else max(within, 0.0),
        between=max(unit_squares / units - offset**2, 0.0),
        products=about_c + (c * (total + total[:, None]) + c * c * units),
        centred=about_c - total * (total[:, None] / units),
        about_common=np.diagonal(about_c),
        spread=spread,
        precision=PRECISION[running.first.dtype],
    )
