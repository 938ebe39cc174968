"""Recognize initializers by the structure of a weight: orthogonal, mirrored, diagonal, sparse."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.repeated_patterns import is_of_sines, repeated
from init_bench.init.tensor_inits.identity import kernel_center
from init_bench.statistics.sums.accelerator import exact

LARGEST = 2048
"""Rows or columns up to which W Wᵀ is formed to recognize an orthogonal weight."""


FIRST = 16
"""Rows that are looked at before all are."""


CLOSE = 1e-5
"""Products of rows may be off by this share of a row's square, or by 4 roundings of the values."""


def patterns(blocks: Sequence[Tensor]) -> Iterator[str]:
    """Yield the rules whose structure every one of ``blocks`` has, the narrowest first.

    Shapes:
        blocks: each ``(n_out, n_in, *kernel)``, a matrix of its own.

    Example:
        >>> list(patterns([torch.eye(3)]))
        ['identity', 'orthogonal']
    """
    found = [list(_patterns(block)) for block in blocks]
    yield from (name for name in found[0] if all(name in names for names in found))


def _patterns(block: Tensor) -> Iterator[str]:
    if block.shape[0] < 2 or not block[0].numel() or min(block.shape[:2]) > LARGEST:
        return
    center = kernel_center(block)
    only_center = block.dim() > 2 and int(block.count_nonzero()) == int(center.count_nonzero())
    if block.dim() == 2 or only_center:
        yield from _diagonal(center, "identity" if block.dim() == 2 else "dirac or identity")
        yield from _sparse(center) if block.dim() == 2 else ()
    if only_center and _is_orthogonal(center):
        yield "delta_orthogonal"
    if _is_mirrored(center if only_center else block):
        yield "looks_linear"
    if _is_orthogonal(block.flatten(1)):
        yield "orthogonal"
        yield from repeated(block) if is_of_sines(block) else ()
    else:
        yield from repeated(block)


def _diagonal(matrix: Tensor, name: str) -> Iterator[str]:
    """Yield ``name``, with its gain if that is not 1, for a multiple of the identity."""
    if matrix[0, 1:].any():
        return
    gain = matrix[0, 0].item()
    pattern = torch.eye(*matrix.shape, dtype=matrix.dtype, device=matrix.device) * gain
    if gain and torch.equal(matrix, pattern):
        yield name if gain == 1 else f"identity(gain={gain:g})"


def _sparse(matrix: Tensor) -> Iterator[str]:
    """Yield the name where every column has the same number of zeros, some but not all."""
    number = int((matrix[:, 0] == 0).sum())
    if not 0 < number < len(matrix) - 1:
        return
    if bool(((matrix == 0).sum(dim=0) == number).all()):
        std = matrix[matrix != 0].square().mean().sqrt().item()
        yield f"sparse(sparsity={number / len(matrix):.3g}, std={std:.3g})"


def _is_mirrored(block: Tensor) -> bool:
    """Return whether ``block`` is [[H, −H], [−H, H]] of an orthogonal H."""
    rows, columns = block.shape[:2]
    if rows % 2 or columns % 2 or rows < 4:
        return False
    first = block[0]
    if not torch.equal(first[columns // 2 :], -first[: columns // 2]):
        return False
    quarter = block[: rows // 2, : columns // 2]
    upper = torch.cat([quarter, -quarter], dim=1)
    return torch.equal(block, torch.cat([upper, -upper])) and _is_orthogonal(quarter.flatten(1))


def _is_orthogonal(matrix: Tensor) -> bool:
    """Return whether rows or columns are orthogonal and of one length."""
    rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if not 2 <= len(rows) <= LARGEST:
        return False
    close = max(CLOSE, 4 * torch.finfo(rows.dtype).eps)
    # The first rows settle most cases, at a small part of the price of all
    return _rows_are_orthogonal(rows[:FIRST], 2 * close) and _rows_are_orthogonal(rows, close)


def _rows_are_orthogonal(rows: Tensor, close: float) -> bool:
    rows = exact(rows)  # products of float32 may be rounded to TF32 or bfloat16
    gram = rows @ rows.T
    length = gram.diagonal().mean()
    off = gram - length * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return bool(off.abs().max() < close * length)
