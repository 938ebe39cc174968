"""Keep the weights that cells have in the middle of their training."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn

from init_bench.training.cell import Cell

State = dict[str, Tensor]
"""Copies of a network's parameters and buffers, by name."""


@dataclass(frozen=True, eq=False)
class KeptWeights:
    """Hold the weights that cells have before the update of one step.

    Attributes:
        keys: of the cells wanted.
        step: before whose update the weights are copied.
        states: the copies, by key: of those cells that came to this step.
    """

    keys: Collection[str]
    step: int
    states: dict[str, State] = field(default_factory=dict)

    def keep(self, networks: Mapping[Cell, nn.Module]) -> None:
        """Copy the weights of those networks whose cell is wanted."""
        for cell, network in networks.items():
            if cell.key in self.keys:
                state = network.state_dict()
                self.states[cell.key] = {
                    name: value.detach().cpu().clone() for name, value in state.items()
                }


_WANTED: list[KeptWeights] = []
"""One of each block that runs: two of the same cells are two, so they do not compare equal."""


@contextmanager
def weights_kept(keys: Collection[str], step: int) -> Iterator[KeptWeights]:
    """Keep weights of the cells that this process trains while the block runs.

    A run stores no weights. Whoever needs those of some steps would train the cells once more.
    """
    kept = KeptWeights(frozenset(keys), step)
    _WANTED.append(kept)
    try:
        yield kept
    finally:
        _WANTED.remove(kept)


def wanted_of(cells: Sequence[Cell]) -> list[KeptWeights]:
    """Return what asks for weights of any of these cells."""
    keys = {cell.key for cell in cells}
    return [kept for kept in _WANTED if not keys.isdisjoint(kept.keys)]
