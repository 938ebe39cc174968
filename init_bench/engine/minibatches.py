"""Which samples a seed sees: the same for every cell of that seed, data set and batch size."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from init_bench.datasets import Dataset
from init_bench.randomness import stream

BLOCK = 64
"""Steps whose indices are drawn at once; a constant, so that ``steps`` changes no draw."""


def minibatches(
    data: Dataset, seeds: Iterable[int], batch_size: int
) -> Iterator[tuple[dict[int, Tensor], dict[int, Tensor]]]:
    """Yield, step after step, inputs and targets by seed, drawn with replacement.

    Shapes:
        inputs[seed]: ``(batch_size, features)``; targets[seed]: ``(batch_size,)``, both on the
        device of ``data``.
    """
    streams = {seed: stream(seed, "minibatches") for seed in sorted(set(seeds))}
    while True:
        drawn = {
            seed: torch.randint(len(data.inputs), (BLOCK, batch_size), generator=generator)
            for seed, generator in streams.items()
        }
        block = {seed: indices.to(data.inputs.device) for seed, indices in drawn.items()}
        for step in range(BLOCK):
            chosen = {seed: indices[step] for seed, indices in block.items()}
            yield (
                {seed: data.inputs[indices] for seed, indices in chosen.items()},
                {seed: data.targets[indices] for seed, indices in chosen.items()},
            )
