"""Decide which network and seeds a comparison trains with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from init_bench.comparison.measurements import TRAIN_ALPHA
from init_bench.comparison.paired_tests import seeds_for
from init_bench.errors import InitBenchError
from init_bench.statistics.planned_looks import LOOKS, planned_looks
from init_bench.training.cell import Cell
from init_bench.training.grid import Grid
from init_bench.training.seeds_argument import AUTO, seeds_from

LEAST_SEEDS = 10


TESTS = 3
"""Tests of a pair that Holm counts: final loss, mean loss, and divergence where there is any."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the networks of a comparison are trained.

    Attributes:
        looks: seeds that both sides train from, at each planned look.
        out: folder of the runs.
        device: as in ``ib.run``.
        progress: whether a progress line is shown.
    """

    looks: tuple[tuple[int, ...], ...]
    out: Path
    device: str
    progress: bool


def cell_of(axes: Mapping[str, Any]) -> Cell:
    """Return the cell that all sides train, with the default seed and initializer.

    Raises:
        InitBenchError: an unknown axis, a bad value, or more than one value of an axis.

    Example:
        >>> cell_of({"steps": 300}).width
        100
    """
    taken = sorted(axes.keys() & {"init", "seed"})
    if taken:
        raise InitBenchError(
            f"{taken[0]}= is not an axis of a comparison: name the initializers and pass seeds="
        )
    cells = Grid(**axes).cells
    if len(cells) > 1:
        many = [name for name in axes if len(getattr(Grid(**axes), name)) > 1]
        raise InitBenchError(
            f"a comparison trains one network, got several values of {', '.join(many)}: "
            "call compare once for each value"
        )
    return cells[0]


def seeds_by_default(pairs: int) -> int:
    """Return 10, or more where Holm over so many pairs could reach no verdict with 10 seeds.

    Example:
        >>> seeds_by_default(1), seeds_by_default(30)
        (10, 12)
    """
    return max(LEAST_SEEDS, seeds_for(TESTS * pairs, TRAIN_ALPHA))


def planned_seeds(
    seeds: int | Iterable[int] | Literal["auto"] | None, *, pairs: int
) -> tuple[tuple[int, ...], ...]:
    """Return the seeds of each look: of one, but for ``auto``, which adds seeds twice.

    Raises:
        InitBenchError: neither a count from 1 nor an iterable of distinct integers, nor ``auto``.

    Example:
        >>> planned_seeds(3, pairs=1), planned_seeds([4, 7], pairs=1)
        (((0, 1, 2),), ((4, 7),))
        >>> [len(look) for look in planned_seeds("auto", pairs=1)]
        [10, 20, 40]
    """
    if seeds is None:
        return (tuple(range(seeds_by_default(pairs))),)
    if isinstance(seeds, str) and seeds == AUTO:
        first = max(LEAST_SEEDS, seeds_for(TESTS * pairs, TRAIN_ALPHA / LOOKS))
        return tuple(tuple(range(count)) for count in planned_looks(first))
    return (seeds_from(seeds, auto=True),)


def setting_of(axes: Mapping[str, Any], seeds: Sequence[int], look: str = "") -> str:
    """Return the data set, network, optimizer, steps and seeds of a comparison, in words.

    Example:
        >>> setting_of({"steps": 300}, range(10))
        'mnist mlp width 100 depth 5 relu, sgd lr 0.01, 300 steps, seeds 0 to 9'
    """
    cell = cell_of(axes)
    named = ", ".join(map(str, seeds))
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        named = f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{cell.dataset} {cell.model} width {cell.width} depth {cell.depth} {cell.activation}, "
        f"{cell.optimizer} lr {cell.lr:g}, {cell.steps} steps, "
        f"seed{'s' * (len(seeds) > 1)} {named}{look}"
    )
