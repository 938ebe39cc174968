"""Measure what changed in a tensor between two states: size, direction and rank."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from init_bench.diagnosis.checkpoint.stored_tensor import StoredTensor
from init_bench.diagnosis.checkpoint.tensor_scan import BLOCK
from init_bench.hooks.random_streams import stream

HIGHEST_RANK = 64
"""Highest rank of a change that is reported: adapters and merges leave low ranks."""


MOST_VALUES = 2**24
"""The rank of a change of more values is not computed."""


SIGMAS = 5.0
"""Standard errors: values whose correlation is nearer to 0 than this were replaced."""


FEWEST = 20
"""With fewer values no correlation tells whether they were replaced."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Describe what became of one tensor.

    Attributes:
        state: ``equal`` (the same bits), ``rounded`` (the same bits, cast to another type),
            ``changed``, ``replaced`` (the values have nothing to do with those before),
            ``reshaped``, ``added`` or ``removed``.
        relative: norm of the change by the norm before; infinite where that is 0.
        norm_before, norm_after: root of the sum of squares.
        correlation: of the values before with those after; nan if one side is constant.
        rank: of the change, if it is at most 64; else nan.
    """

    state: str
    relative: float = math.nan
    norm_before: float = math.nan
    norm_after: float = math.nan
    correlation: float = math.nan
    rank: float = math.nan


@dataclass(kw_only=True)
class _Sums:
    """Hold sums over two tensors: of a, b, a², b², ab and (b − a)²."""

    number: int = 0
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, a: Tensor, b: Tensor) -> None:
        d = b - a
        self.values += [a.sum(), b.sum(), a.dot(a), b.dot(b), a.dot(b), d.dot(d)]
        self.number += len(a)

    @property
    def norms(self) -> tuple[float, float, float]:
        """Norm of a, of b and of b − a."""
        before, after, change = (math.sqrt(float(self.values[i])) for i in (2, 3, 5))
        return before, after, change

    @property
    def correlation(self) -> float:
        a, b, aa, bb, ab, _ = (float(value) / self.number for value in self.values)
        spread = (aa - a * a) * (bb - b * b)
        constant = spread <= 1e-24 * aa * bb  # what rounding leaves of equal values
        return math.nan if constant or math.isnan(spread) else (ab - a * b) / math.sqrt(spread)


def change_of(before: StoredTensor | None, after: StoredTensor | None) -> Change:
    """Return what became of a tensor; one of the two may be missing.

    Example:
        >>> from init_bench.diagnosis.checkpoint.stored_tensor import tensors_of
        >>> a, b = (tensors_of({"w": torch.tensor([3.0, x])})["w"] for x in (4.0, 4.5))
        >>> change_of(a, a).state, change_of(a, b).relative
        ('equal', 0.1)
    """
    if before is None or after is None:
        return Change(state="added" if before is None else "removed")
    if before.missing or after.missing:
        return Change(state="equal" if before.missing and after.missing else "changed")
    if before.shape != after.shape:
        return Change(state="reshaped")
    if same_bits(before, after):
        return Change(state="equal" if before.dtype == after.dtype else "rounded")
    return _measured(before, after)


def same_bits(before: StoredTensor, after: StoredTensor) -> bool:
    """Return whether two tensors of one shape hold the same bits, in the type of ``after``."""
    pairs = zip(before.pieces(), after.pieces(), strict=True)
    return all(_equal(a.to(b.dtype), b) for a, b in pairs)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Compare bytes: nan equals nan, and −0 is not 0."""
    a, b = (one.detach().cpu().contiguous().flatten() for one in (a, b))
    return torch.equal(a.view(torch.uint8), b.view(torch.uint8))


def _measured(before: StoredTensor, after: StoredTensor) -> Change:
    sums = _Sums()
    for pair in zip(before.pieces(), after.pieces(), strict=True):
        blocks = (torch.split(piece.detach().cpu().flatten(), BLOCK) for piece in pair)
        for a, b in zip(*blocks, strict=True):
            sums.add(_real(a), _real(b))
    norm_before, norm_after, norm = sums.norms
    correlation = sums.correlation
    unrelated = sums.number >= FEWEST and abs(correlation) * math.sqrt(sums.number) < SIGMAS
    return Change(
        state="replaced" if unrelated else "changed",
        relative=norm / norm_before if norm_before else math.inf,
        norm_before=norm_before,
        norm_after=norm_after,
        correlation=correlation,
        rank=math.nan if unrelated or not math.isfinite(norm) else _rank(before, after),
    )


def _real(values: Tensor) -> Tensor:
    if values.is_complex():
        return torch.view_as_real(values.to(torch.complex128)).flatten()
    return values.double()


def _rank(before: StoredTensor, after: StoredTensor) -> float:
    """Return the rank of the change, nan above ``HIGHEST_RANK`` or half of what a matrix can have.

    A random sketch catches the space of the change; singular values in it count that are above
    what rounding of the values leaves.
    """
    shape = after.shape
    if len(shape) < 2 or after.number > MOST_VALUES or not after.dtype.is_floating_point:
        return math.nan
    a, b = (one.values().detach().cpu().float().flatten(1) for one in (before, after))
    change = b - a
    rows, columns = change.shape
    wanted = min(HIGHEST_RANK, min(rows, columns) // 2)
    if wanted < 1:
        return math.nan
    probes = torch.randn(columns, wanted + 1, generator=stream(0, "rank"))
    basis = torch.linalg.qr(change @ probes)[0]
    found = torch.linalg.svdvals(basis.T @ change)
    coarse = max(torch.finfo(t.dtype).eps for t in (before, after) if t.dtype.is_floating_point)
    rounding = coarse * b.square().mean().sqrt().item() * (math.sqrt(rows) + math.sqrt(columns))
    product = torch.finfo(change.dtype).eps * math.sqrt(max(rows, columns)) * found[0].item()
    rank = int((found > max(rounding, product)).sum())
    return float(rank) if 0 < rank <= wanted else math.nan
