"""Sum a layer's values on any device, tile by tile, with few operations of torch.

With s[j] a value of unit j (or the mean of some) and c about the mean of s, a value is
z[i, j] = D[i, j] + U[j] + c: D = z - s depends on the sample, U = s - c on the unit. The difference
of near numbers is exact, so nothing is lost where the spread is a millionth of the mean.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

EXACT_VALUES = 2**18
"""Up to this many values everything is float64; it costs little there."""


_PIECE = 2**24
"""Values of a piece: an accelerator pays for each launch."""


class BroughtOver(NamedTuple):
    """What comes from a layer's device, in one transfer.

    Attributes:
        sums: as ``loop_sums`` returns them.
        chosen: the values asked for.
    """

    sums: tuple[float, ...]
    chosen: np.ndarray


def bring_over(z: Tensor, ends: tuple[float, float] | None, few: int, step: int) -> BroughtOver:
    """Return the sums of ``z``, and its values for ``few`` samples at every ``step``-th unit.

    Beyond ``EXACT_VALUES`` values a piece is summed in float32 and the pieces in float64.

    Example:
        >>> sums, chosen = bring_over(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), None, 1, 1)
        >>> sums[:3], chosen.tolist()
        ((0.0, 2.0, 1.0), [[0.0, 1.0]])
    """
    layer = _Pass(exact(z) if z.numel() <= EXACT_VALUES else z, ends, few)
    chosen = layer.z[:few, ::step]
    numbers = layer.numbers()
    both = torch.cat([numbers, chosen.to(layer.narrow).flatten()]).cpu().numpy()
    return BroughtOver(
        layer.sums(both[: len(numbers)].astype(float)), both[len(numbers) :].reshape(chosen.shape)
    )


def exact(z: Tensor) -> Tensor:
    """Return ``z`` in float64, or in float32 on a device that has no float64."""
    return z.to(torch.float32 if z.device.type == "mps" else torch.float64)


class _Pass:
    """The pass itself, on the device of the values. A piece is some units of all samples, a tile
    some samples of it."""

    def __init__(self, z: Tensor, ends: tuple[float, float] | None, few: int) -> None:
        samples, units = z.shape
        self.z, self.ends, self.few = z, ends, few
        self.narrow = z.dtype if z.dtype == torch.float64 else torch.float32
        width = min(units, max(1, _PIECE // few))
        self.height = min(samples, max(1, _PIECE // width))
        self.scratch = z.new_empty(self.height * width, dtype=self.narrow)
        self.common = self._shift(slice(width)).mean()
        self.tiles: list[Tensor] = []
        self.pieces: list[Tensor] = []
        for start in range(0, units, width):
            self._add(slice(start, min(start + width, units)))

    def _shift(self, units: slice) -> Tensor:
        """Return s: a sample of few, the mean of the first of many."""
        if len(self.z) <= self.few:
            return self.z[0, units].to(self.narrow)
        return self.z[: self.few, units].mean(0, dtype=self.narrow)

    def _add(self, units: slice) -> None:
        piece, shift = self.z[:, units], self._shift(units)
        low, high = torch.aminmax(piece, dim=0)
        totals = []
        for tile in torch.split(piece, self.height):
            scratch = self.scratch[: tile.numel()].view(tile.shape)
            deviation = torch.sub(tile, shift, out=scratch)
            totals.append(deviation.sum(dim=0))
            self.tiles.append(deviation.square_().sum())
            self._count(tile, scratch)
        total = functools.reduce(torch.add, totals)
        unit = (shift - self.common).add_(total, alpha=1 / len(piece))
        self.pieces += [unit.sum(), unit.square_().sum(), total.square_().sum()]
        self.pieces += [low.amin(), high.amax(), torch.eq(low, high, out=unit).sum()]

    def _count(self, tile: Tensor, scratch: Tensor) -> None:
        """Note what is not 0 and what is beyond the ends; sums of this many 0 and 1 are exact."""
        self.tiles.append(torch.linalg.vector_norm(tile, 0, dtype=self.narrow))
        if self.ends is not None:
            self.tiles.append(torch.le(tile, self.ends[0], out=scratch).sum())
            self.tiles.append(torch.ge(tile, self.ends[1], out=scratch).sum())

    def numbers(self) -> Tensor:
        """Return all numbers of the pass, on its device."""
        found = [self.common, *self.tiles, *self.pieces]
        return torch.stack([number.to(self.narrow) for number in found])

    def sums(self, numbers: np.ndarray) -> tuple[float, ...]:
        """Put the numbers together."""
        samples, units = self.z.shape
        tiles, pieces = np.split(numbers[1:], [len(self.tiles)])
        square, present, *near = tiles.reshape(-1, 2 if self.ends is None else 4).T
        unit, unit_square, total_square, low, high, constant = pieces.reshape(-1, 6).T
        return (
            float(low.min()),
            float(high.max()),
            float(constant.sum()),
            float(numbers[0]),
            float(unit.sum()),
            float(unit_square.sum()),
            float(square.sum() - total_square.sum() / samples),
            samples * units - float(present.sum()),
            math.nan if self.ends is None else float(np.sum(near)),
        )
