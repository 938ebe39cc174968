"""Count distinct rows of a matrix: equal units are a symmetry that training cannot break."""

import numpy as np
import torch
from torch import Tensor

_COLUMNS = 4
"""Columns whose values separate most rows before any two rows are compared."""


Groups = np.ndarray[tuple[int], np.dtype[np.int64]]


Values = np.ndarray[tuple[int], np.dtype[np.float32]]


def distinct_rows(rows: Tensor, tolerance: float) -> int:
    """Count rows that differ from every row counted before them.

    Two rows are the same where no entry differs by more than ``tolerance``. Rows with a gap wider
    than that between their sorted values in some column differ: most rows of a drawn weight do in
    the first. Of the others, the columns of widest range tell most apart; only rows left together
    by these are compared entry by entry.

    Shapes:
        rows: ``(number, columns)``, finite, any device.

    Example:
        >>> rows = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 1.0]])
        >>> distinct_rows(rows, 0.1)
        2
    """
    first = rows[:, 0].float().cpu().numpy()
    order = first.argsort()
    ordered = first[order]
    near = (ordered[1:] - ordered[:-1] <= tolerance).nonzero()[0]
    if not len(near) or _differ_by_pairs(rows, order, near, tolerance):
        return len(rows)
    alone, crowds = _crowds(_split(np.zeros(len(rows), dtype=np.int64), first, tolerance))
    if not len(crowds):
        return alone
    crowded = np.sort(np.concatenate(crowds))
    return alone + _distinct_by_columns(_chosen(rows, crowded), tolerance)


def _differ_by_pairs(rows: Tensor, order: Groups, near: Groups, tolerance: float) -> bool:
    """Return whether the rows near in the first column are pairs, and those of each differ.

    Args:
        order: of the rows by their first column.
        near: places in it of rows that are near to the next.
    """
    if (near[1:] == near[:-1] + 1).any():
        return False
    apart = _chosen(rows, order[near]) - _chosen(rows, order[near + 1])
    return bool((apart.abs().amax(dim=1) > tolerance).all())


def _distinct_by_columns(rows: Tensor, tolerance: float) -> int:
    """Count the distinct among rows that some columns may tell apart."""
    ranges = rows.amax(dim=0) - rows.amin(dim=0)
    widest = ranges.topk(min(_COLUMNS, len(ranges))).indices
    columns = rows.index_select(1, widest).float().cpu().numpy().T
    group = np.zeros(len(rows), dtype=np.int64)
    for values in columns:
        group = _split(group, values, tolerance)
        if group.max() == len(rows) - 1:
            return len(rows)
    alone, crowds = _crowds(group)
    return alone + sum(_distinct(_chosen(rows, crowd), tolerance) for crowd in crowds)


def _crowds(group: Groups) -> tuple[int, list[Groups]]:
    """Return how many rows are alone in their group, and the rows of each other group."""
    members = np.bincount(group)
    crowds = [np.flatnonzero(group == number) for number in np.flatnonzero(members > 1)]
    return int((members == 1).sum()), crowds


def _chosen(rows: Tensor, chosen: Groups) -> Tensor:
    return rows.index_select(0, torch.from_numpy(chosen).to(rows.device))


def _split(group: Groups, values: Values, tolerance: float) -> Groups:
    """Return the groups, split where sorted ``values`` of one are more than ``tolerance`` apart."""
    order = np.lexsort((values, group))
    starts = (np.diff(group[order]) != 0) | (np.diff(values[order]) > tolerance)
    split = np.empty_like(group)
    split[order] = np.concatenate([[0], np.cumsum(starts)])
    return split


def _distinct(left: Tensor, tolerance: float) -> int:
    """Count, in order, the rows that differ from all that were counted."""
    counted = 0
    while len(left):
        counted += 1
        left = left[(left - left[0]).abs().amax(dim=1) > tolerance]
    return counted
