"""Give every trial the same minibatches."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.hooks.model_call import number_of_samples, shapes
from init_bench.hooks.nested_tensors import dense_tensors, map_tensors, tensors_in
from init_bench.hooks.random_streams import stream

BATCH = 128
"""Samples of a minibatch where all inputs are given; a loader has its own."""


MOST_KEPT = 40
"""Minibatches of a loader that are kept; a longer trial sees them again."""


Batch = tuple[Any, Any]
"""Inputs and targets."""


class Minibatches:
    """Give the minibatch of a step: the same in every trial.

    Args:
        inputs: inputs as ``diagnose`` takes them, or a loader: an iterable of (inputs, targets).
        targets: the targets of all inputs; ``None`` with a loader.

    Raises:
        InitBenchError: a loader yields no pairs, or nothing.
    """

    def __init__(self, inputs: Any, targets: Any) -> None:
        self.inputs, self.targets = inputs, targets
        self.loader = iter(inputs) if is_loader(inputs) else None
        self.kept: list[Batch] = []
        self.samples = 0 if self.loader else _divisible_samples(inputs, targets)
        self.draws = stream(0, "minibatches")
        self.drawn: list[Tensor] = []

    def __getitem__(self, step: int) -> Batch:
        """Return inputs and targets of a step."""
        if self.loader is not None:
            self._load(step)
            return self.kept[step % len(self.kept)]
        if self.samples <= BATCH:
            return self.inputs, self.targets
        while len(self.drawn) <= step:
            self.drawn.append(torch.randint(self.samples, (BATCH,), generator=self.draws))
        chosen = self.drawn[step]

        def rows(tensor: Tensor) -> Tensor:
            return tensor[chosen.to(tensor.device)]

        return map_tensors(rows, self.inputs), map_tensors(rows, self.targets)

    def remarks(self) -> Iterator[str]:
        """Say how much of the inputs a step sees, where that is not all of them."""
        if self.samples > BATCH:
            yield f"Each step drew {BATCH} of the {self.samples} samples given."

    def _load(self, step: int) -> None:
        """Read the loader as far as ``step``, at most ``MOST_KEPT`` minibatches."""
        while len(self.kept) <= min(step, MOST_KEPT - 1) and self.loader is not None:
            batch = next(self.loader, None)
            if batch is None:
                break
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise InitBenchError(
                    f"a loader must yield pairs (inputs, targets), got {shapes(batch)}; wrap it, "
                    f"such as ((batch['x'], batch['y']) for batch in loader)"
                )
            self.kept.append((batch[0], batch[1]))
        if not self.kept:
            raise InitBenchError("the loader yields nothing: it is empty or was read to its end")


def is_loader(inputs: Any) -> bool:
    """Return whether ``inputs`` yields minibatches, rather than being the inputs.

    Example:
        >>> is_loader(torch.zeros(2, 3)), is_loader([1]), is_loader(iter([1]))
        (False, False, True)
    """
    return isinstance(inputs, Iterable) and not isinstance(
        inputs, Tensor | tuple | list | Mapping | str
    )


def _divisible_samples(inputs: Any, targets: Any) -> int:
    """Return the number of samples if every tensor holds as many, else 0."""
    samples = number_of_samples(inputs) or 0
    tensors = list(tensors_in((inputs, targets)))
    dense = len(tensors) == len(list(dense_tensors(tensors)))
    divisible = dense and all(tensor.dim() and len(tensor) == samples for tensor in tensors)
    return samples if divisible else 0
