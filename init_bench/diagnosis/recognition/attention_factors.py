"""Recognize the weights of attention that ``mimetic`` writes: factors of one matrix each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.structures import LARGEST
from init_bench.init.whole_model.transformer_parts import Part
from init_bench.statistics.sums.accelerator import exact

CLOSE = 1e-4
"""Cosine below which two rows count as orthogonal, or 16 roundings of the values."""


FACTORS = ("query", "key", "value", "packed", "output")
"""Parts whose weights may be factors of a larger matrix."""


def is_mimetic(part: Part | None, blocks: Sequence[Tensor]) -> bool:
    """Return whether a weight of attention holds U√S or √S Vᵀ of a matrix U S Vᵀ.

    Of queries, keys and values the rows are orthogonal within each head and fall in length, of an
    output projection the columns; a layer that stores its weight transposed is known too.

    Args:
        part: what the weight is for; of any other part the answer is no.
        blocks: its matrices (n_out, n_in).

    Example:
        >>> product = torch.randn(8, 8, generator=torch.Generator().manual_seed(0)) - torch.eye(8)
        >>> left, size, right = torch.linalg.svd(product)
        >>> is_mimetic("output", [left * size.sqrt()]), is_mimetic("output", [product])
        (True, False)
    """
    if part not in FACTORS:
        return False
    whole = torch.cat(list(blocks)) if blocks[0].dim() == 2 else blocks[0]
    if whole.dim() != 2 or not 4 <= min(whole.shape) <= LARGEST:
        return False
    number = 3 if part == "packed" else 1
    ways = [m for m in (whole, whole.T) if m.shape[0] == number * m.shape[1]]
    return any(all(_falls_in_heads(rows) for rows in way.chunk(number)) for way in ways)


def _falls_in_heads(rows: Tensor) -> bool:
    """Return whether rows are orthogonal and fall in length within heads of equal size."""
    wide = exact(rows)  # products of float32 may be rounded to TF32 or bfloat16
    eps = torch.finfo(rows.dtype).eps
    lengths = wide.norm(dim=1)
    if not lengths.all():
        return False
    heads = 1 + int((lengths[1:] > lengths[:-1] * (1 + eps)).sum())
    if len(rows) % heads or len(rows) // heads < 2:
        return False
    by_head = lengths.reshape(heads, -1)
    if not (by_head[:, 0] > 1.01 * by_head[:, -1]).all():  # of one length: orthogonal matrices
        return False
    units = (wide / lengths[:, None]).reshape(heads, -1, wide.shape[1])
    cosines = units @ units.mT - torch.eye(units.shape[1], dtype=wide.dtype, device=wide.device)
    return bool(cosines.abs().max() < max(CLOSE, 16 * eps))
