"""Cut cells into cohorts and chunks."""

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from init_bench.training.cell import Cell

CHUNK_CELLS = 10
"""Cells trained as one stack on the CPU, so that weights and activations stay in the cache. 6 to 12
are equally fast, 30 are slower by 6 to 9 % (``benchmarks/README.md``)."""


def chunks(cells: Iterable[Cell], workers: int = 1, most: int = CHUNK_CELLS) -> list[list[Cell]]:
    """Return the cells in stacks of one cohort each, cells of a seed together.

    Every cohort is cut into equal parts of at most ``most`` cells. The number of parts is a
    multiple of ``workers`` if there are enough cells.

    Example:
        >>> from init_bench.training.grid import Grid
        >>> [len(chunk) for chunk in chunks(Grid(seed=range(35)).cells, workers=2)]
        [9, 9, 8, 9]
    """
    cohorts: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        cohorts.setdefault(cell.cohort, []).append(cell)
    return [part for cohort in cohorts.values() for part in _equal_parts(cohort, workers, most)]


def chunk_name(cells: Iterable[Cell]) -> str:
    """Return the name of a chunk: a hash of the keys of its cells."""
    return name_of_keys(cell.key for cell in cells)


def name_of_keys(keys: Iterable[str]) -> str:
    """Return the name of the chunk whose cells have these keys."""
    return hashlib.sha256(",".join(sorted(keys)).encode()).hexdigest()[:16]


def _equal_parts(cohort: list[Cell], workers: int, most: int) -> list[list[Cell]]:
    cohort = sorted(cohort, key=lambda cell: (cell.seed, cell.activation))
    number = -(-len(cohort) // most)
    number = min(len(cohort), -(-number // workers) * workers)
    edges = [round(i * len(cohort) / number) for i in range(number + 1)]
    return [cohort[a:b] for a, b in itertools.pairwise(edges)]
