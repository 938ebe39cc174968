"""Reduce a tensor to what the audit asks of it, block by block and in one pass."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from init_bench.diagnosis.checkpoint.stored_tensor import StoredTensor
from init_bench.diagnosis.evidence.parameters import UNTOUCHED_SMALL
from init_bench.diagnosis.recognition.distributions import Groups, Sample

BLOCK = 2**15
"""Values of a block: in float64 they stay in a core's cache."""


Array = NDArray[np.float64]


@dataclass(kw_only=True)
class Scan:
    """Hold sums over a tensor, read as a matrix of its first dimension times the others.

    Attributes:
        rounding: relative spacing of the values' type.
        number: of values.
        nonfinite: of nan and ±inf.
        zeros: of exact zeros.
        tiny: of values other than 0 that are smaller than any initializer writes.
        low, high: the ends of the values.
        powers: sums of x, x², x³ and x⁴.
        row_sums, row_squares, column_sums, column_squares: of x and x².
    """

    rounding: float
    row_sums: Array
    row_squares: Array
    column_sums: Array
    column_squares: Array
    number: int = 0
    nonfinite: int = 0
    zeros: int = 0
    tiny: int = 0
    low: float = math.inf
    high: float = -math.inf
    powers: Array = field(default_factory=lambda: np.zeros(4))

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def padding(self) -> int:
        """Number of rows of an embedding that are 0 whatever fills the rest: one or none."""
        empty = int((self.row_squares == 0).sum())
        return empty if empty == 1 and len(self.column_squares) > 1 < len(self.row_squares) else 0

    @cached_property
    def sample(self) -> Sample:
        """What the tests of a distribution ask, of the values without padding."""
        number = self.number - self.padding * len(self.column_sums)
        total, square = self.powers[:2]
        return Sample(
            number=number,
            mean=float(total) / number,
            rms=math.sqrt(square / number),
            largest=self.largest,
            rounding=self.rounding,
        )

    @cached_property
    def groups(self) -> list[Groups]:
        """The rows without padding, and the columns."""
        kept = self.row_squares > 0 if self.padding else slice(None)
        rows, columns = len(self.row_sums) - self.padding, len(self.column_sums)
        return [
            self._groups(columns, self.row_sums[kept], self.row_squares[kept]),
            self._groups(rows, self.column_sums, self.column_squares),
        ]

    def _groups(self, number: int, sums: Array, squares: Array) -> Groups:
        low, high = (math.sqrt(end / number) for end in (squares.min(), squares.max()))
        mean = float(np.abs(sums).max()) / number
        sample = Sample(
            number=number, mean=mean, rms=high, largest=self.largest, rounding=self.rounding
        )
        return Groups(count=len(sums), sample=sample, rms=(low, high))

    def add(self, start: int, block: Tensor) -> None:
        """Add rows of the matrix, the first of which is row ``start``."""
        x = block.to("cpu", torch.float64)
        q = x * x
        rows = slice(start, start + len(x))
        self.row_sums[rows], self.row_squares[rows] = x.sum(1), q.sum(1)
        self.column_sums += x.sum(0).numpy()
        self.column_squares += q.sum(0).numpy()
        flat, square = x.flatten(), q.flatten()
        self.powers += [flat.sum(), square.sum(), flat.dot(square), square.dot(square)]
        low, high = (end.item() for end in torch.aminmax(flat))
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.number += flat.numel()
        if not math.isfinite(low) or not math.isfinite(high):  # nan too: aminmax passes it on
            self.nonfinite += flat.numel() - int(flat.isfinite().sum())
        elif square.min() < UNTOUCHED_SMALL**2:
            zeros = flat.numel() - int(flat.count_nonzero())
            self.zeros += zeros
            self.tiny += int((square < UNTOUCHED_SMALL**2).sum()) - zeros


def scan(tensor: StoredTensor) -> Scan:
    """Return the sums over ``tensor``, which has values of a floating-point type.

    Example:
        >>> from init_bench.diagnosis.checkpoint.stored_tensor import tensors_of
        >>> found = scan(tensors_of({"w": torch.tensor([[3.0, -4.0], [0.0, 0.0]])})["w"])
        >>> found.largest, found.zeros, found.padding, found.sample.rms == 12.5**0.5
        (4.0, 2, 1, True)
    """
    rows = tensor.shape[0] if tensor.shape else 1
    columns = tensor.number // rows
    found = Scan(
        rounding=torch.finfo(tensor.dtype).eps,
        row_sums=np.zeros(rows),
        row_squares=np.zeros(rows),
        column_sums=np.zeros(columns),
        column_squares=np.zeros(columns),
    )
    at = 0
    with torch.no_grad():
        for piece in tensor.pieces():
            matrix = piece.reshape(-1, columns)
            for block in torch.split(matrix, max(1, BLOCK // columns)):
                found.add(at, block)
                at += len(block)
    return found
