"""Recognize weights of sines, of repeated identities, and of vectors of length 1."""

from collections.abc import Iterator

import torch
from torch import Tensor

from init_bench.diagnosis.recognition.distributions import NORMAL, Sample
from init_bench.init.tensor_inits.identity import repeated_identity
from init_bench.init.tensor_inits.sinusoidal import sines

NOISE = 0.085
"""Noise of ``tanh_init``, over the root of the inputs."""


FIRST = 8
"""Rows or columns that are looked at before all are."""


def repeated(block: Tensor) -> Iterator[str]:
    """Yield the rules that could have made one matrix, or kernel (n_out, n_in, *kernel).

    Example:
        >>> list(repeated(repeated_identity(4, 2)))
        ['idinit']
    """
    matrix = block.flatten(1)
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    close = _rounding(block)
    if _is_padded_identity(block, matrix):
        yield "idinit"
    elif _is_noisy_identity(matrix):
        yield "tanh_init"
    elif is_of_sines(block):
        yield "sinusoidal"
    elif block.dim() == 2:
        for along, name in ((1, "rows"), (0, "columns")):
            if _has_length_1(matrix, along, close):
                yield f"normalized ({name} of length 1)"


def _is_padded_identity(block: Tensor, matrix: Tensor) -> bool:
    if block.dim() > 2:
        matrix = block.flatten(2).transpose(1, 2).flatten(1)
    rows, columns = matrix.shape
    size = matrix[0, 0].item()
    if not size or int(matrix.count_nonzero()) != max(rows, columns):
        return False
    return torch.equal(matrix, matrix[0, 0] * repeated_identity(rows, columns).to(matrix))


def _is_noisy_identity(matrix: Tensor) -> bool:
    rows, columns = matrix.shape
    at = torch.arange(rows, device=matrix.device)
    ones = matrix[at, at % columns]
    if not ((ones - 1).abs() < 0.6).all():
        return False
    noise = matrix.clone()
    noise[at, at % columns] -= 1
    return NORMAL.could_be(Sample.of(noise), NOISE * columns**-0.5)


def is_of_sines(block: Tensor) -> bool:
    """Return whether a matrix or kernel is as ``sinusoidal`` writes it, of any size.

    Example:
        >>> is_of_sines(0.3 * sines(4, 6)), is_of_sines(torch.eye(4))
        (True, False)
    """
    matrix = block.flatten(1)
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    limit = 10 * _rounding(block)
    return _is_multiple(matrix[:FIRST], sines(*matrix.shape, first=FIRST), limit) and _is_multiple(
        matrix, sines(*matrix.shape), limit
    )


def _is_multiple(matrix: Tensor, pattern: Tensor, limit: float) -> bool:
    """Return whether ``matrix`` is ``pattern`` times a positive number, both over their size."""
    size, spread = matrix.square().mean().sqrt(), pattern.square().mean().sqrt()
    if not size or spread < 1e-9:
        return bool((matrix == 0).all()) and bool(spread < 1e-9)
    return bool((matrix / size - pattern.to(matrix) / spread.to(matrix)).abs().max() < limit)


def _rounding(block: Tensor) -> float:
    return 4 * max(1e-6, torch.finfo(block.dtype).eps)


def _has_length_1(matrix: Tensor, along: int, close: float) -> bool:
    first = matrix[:FIRST] if along == 1 else matrix[:, :FIRST]
    return all(bool(((part.norm(dim=along) - 1).abs() < close).all()) for part in (first, matrix))
