"""Draw the sample indices of a seed's minibatches."""

from collections.abc import Iterator

import torch
from torch import Tensor

from init_bench.hooks.random_streams import stream

BLOCK = 64
"""Steps whose indices are drawn at once; a constant, so that ``steps`` changes no draw."""


def sample_indices(samples: int, seed: int, batch_size: int) -> Iterator[Tensor]:
    """Yield, step after step, the indices ``(batch_size,)`` that a seed draws with replacement.

    Example:
        >>> next(sample_indices(60000, seed=0, batch_size=3)).shape
        torch.Size([3])
    """
    for block in index_blocks(samples, seed, batch_size):
        yield from block


def index_blocks(samples: int, seed: int, batch_size: int) -> Iterator[Tensor]:
    """Yield the indices of ``BLOCK`` steps at a time, ``(BLOCK, batch_size)``.

    Example:
        >>> next(index_blocks(60000, seed=0, batch_size=3)).shape
        torch.Size([64, 3])
    """
    generator = stream(seed, "minibatches")
    while True:
        yield torch.randint(samples, (BLOCK, batch_size), generator=generator)
