"""Do the steps of a stack one by one, each with a minibatch from the host."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

Batches = TypeVar("Batches", contravariant=True)
"""A minibatch of each seed."""


class HostStack(Protocol[Batches]):
    """Step many cells side by side, on a minibatch of each seed."""

    def step(self, batches: Batches) -> Tensor:
        """Do one update of every cell; return the losses ``(G,)`` before it."""
        ...

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all cells but those at ``indices``."""
        ...

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        ...


class HostSteps:
    """Run a stack step by step."""

    def __init__(self, stack: HostStack[Any], batches: Iterator[Any]) -> None:
        self.stack, self.batches = stack, batches

    def steps(self, count: int) -> Tensor:
        """Do ``count`` updates of every cell; return the losses ``(count, G)`` before each."""
        return torch.stack([self.stack.step(next(self.batches)) for _ in range(count)])

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all cells but those at ``indices``."""
        self.stack.keep(indices)

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        self.stack.load_into(network, index)
