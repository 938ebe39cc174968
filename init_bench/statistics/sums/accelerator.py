"""Sum a layer's values on any device, tile by tile, with few operations of torch.

With s[j] a value of unit j (or the mean of some) and c about the mean of s, a value is
z[i, j] = D[i, j] + U[j] + c: D = z - s depends on the sample, U = s - c on the unit. The difference
of near numbers is exact, so nothing is lost where the spread is a millionth of the mean.
"""

import math

import numpy as np
import torch
from torch import Tensor

from init_bench.statistics.sums.result import SHIFT_SAMPLES, Sums

EXACT_VALUES = 2**18
"""Up to this many values everything is float64; it costs little there."""


_PIECE = 2**24
"""Values of a piece: an accelerator pays for each launch."""


def tile_sums(z: Tensor, ends: tuple[float, float] | None = None) -> Sums:
    """Return the sums of ``z``: beyond ``EXACT_VALUES`` values a piece is summed in float32 and the
    pieces in float64. Numbers come from the device in one transfer.

    Example:
        >>> tile_sums(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).within
        0.5
    """
    return _Pass(exact(z) if z.numel() <= EXACT_VALUES else z, ends).result()


def exact(z: Tensor) -> Tensor:
    """Return ``z`` in float64, or in float32 on a device that has no float64."""
    return z.to(torch.float32 if z.device.type == "mps" else torch.float64)


class _Pass:
    """The pass itself, on the device of the values. A piece is some units of all samples, a tile
    some samples of it."""

    def __init__(self, z: Tensor, ends: tuple[float, float] | None) -> None:
        samples, units = z.shape
        self.z, self.ends = z, ends
        self.narrow = z.dtype if z.dtype == torch.float64 else torch.float32
        width = min(units, max(1, _PIECE // min(samples, SHIFT_SAMPLES)))
        self.height = min(samples, max(1, _PIECE // width))
        self.scratch = z.new_empty(self.height * width, dtype=self.narrow)
        self.ones = z.new_ones(self.height, dtype=self.narrow)
        self.common = self._shift(slice(width)).mean()
        self.squares: list[Tensor] = []
        self.counts: list[Tensor] = []
        self.pieces: list[Tensor] = []
        for start in range(0, units, width):
            self._add(slice(start, min(start + width, units)))

    def _shift(self, units: slice) -> Tensor:
        """Return s: a sample of few, the mean of the first of many."""
        if len(self.z) <= SHIFT_SAMPLES:
            return self.z[0, units].to(self.narrow)
        return self.z[:SHIFT_SAMPLES, units].mean(0, dtype=self.narrow)

    def _add(self, units: slice) -> None:
        piece, shift = self.z[:, units], self._shift(units)
        low, high = torch.amin(piece, dim=0), torch.amax(piece, dim=0)
        total = torch.zeros_like(shift)
        for top in range(0, piece.shape[0], self.height):
            tile = piece[top : top + self.height]
            scratch = self.scratch[: tile.numel()].view(tile.shape)
            deviation = torch.sub(tile, shift, out=scratch)
            total.addmv_(deviation.t(), self.ones[: len(tile)])
            self.squares.append(deviation.square_().sum())
            self._count(tile, scratch)
        unit = (shift - self.common).add_(total, alpha=1 / len(piece))
        self.pieces += [unit.sum(), unit.square().sum(), total.square_().sum()]
        self.pieces += [low.amin(), high.amax(), torch.eq(low, high, out=unit).sum()]

    def _count(self, tile: Tensor, scratch: Tensor) -> None:
        """Note zeros and values beyond the ends; sums of this many 0 and 1 are exact."""
        self.counts.append(torch.eq(tile, 0, out=scratch).sum())
        if self.ends is not None:
            self.counts.append(torch.le(tile, self.ends[0], out=scratch).sum())
            self.counts.append(torch.ge(tile, self.ends[1], out=scratch).sum())

    def result(self) -> Sums:
        """Bring the sums over and put them together."""
        samples, units = self.z.shape
        parts = [[self.common], self.squares, self.counts, self.pieces]
        packed = torch.stack([p.to(self.narrow) for part in parts for p in part])
        found = np.split(packed.cpu().double().numpy(), np.cumsum([len(p) for p in parts[:-1]]))
        common, squares, counts, pieces = found
        unit, unit_square, total_square, low, high, constant = pieces.reshape(-1, 6).T
        zeros, *near = counts.reshape(-1, 1 if self.ends is None else 3).sum(axis=0).tolist()
        within = (squares.sum() - total_square.sum() / samples) / samples / units
        mean = float(unit.sum()) / units
        return Sums(
            low=float(low.min()),
            high=float(high.max()),
            zeros=zeros,
            near_ends=math.nan if self.ends is None else sum(near),
            constant_units=float(constant.sum()),
            mean=float(common[0]) + mean,
            within=0.0 if constant.sum() == units else max(float(within), 0.0),
            between=max(float(unit_square.sum()) / units - mean**2, 0.0),
        )
