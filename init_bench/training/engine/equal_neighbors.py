"""Find runs of equal neighbors: cells of one seed share a product, of one nonlinearity a kernel."""

import itertools
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def runs(values: Sequence[T]) -> list[tuple[T, slice]]:
    """Return runs of equal neighbors as (value, slice).

    Example:
        >>> runs("aab")
        [('a', slice(0, 2, None)), ('b', slice(2, 3, None))]
    """
    found: list[tuple[T, slice]] = []
    start = 0
    for value, group in itertools.groupby(values):
        stop = start + len(list(group))
        found.append((value, slice(start, stop)))
        start = stop
    return found


def run_length(part: slice) -> int:
    """Return the number of values in a run."""
    return int(part.stop - part.start)
