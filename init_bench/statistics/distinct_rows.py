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
    than that between their sorted values in some column differ; only those left together by the
    columns of widest range are compared entry by entry.

    Shapes:
        rows: ``(number, columns)``, finite, any device.

    Example:
        >>> rows = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 1.0]])
        >>> distinct_rows(rows, 0.1)
        2
    """
    ranges = rows.amax(dim=0) - rows.amin(dim=0)
    widest = ranges.topk(min(_COLUMNS, len(ranges))).indices
    columns = rows.index_select(1, widest).float().cpu().numpy().T
    group = np.zeros(len(rows), dtype=np.int64)
    for values in columns:
        group = _split(group, values, tolerance)
        if group.max() == len(rows) - 1:
            return len(rows)
    members = np.bincount(group)
    crowds = (np.flatnonzero(group == number) for number in np.flatnonzero(members > 1))
    return int((members == 1).sum()) + sum(_distinct(rows, crowd, tolerance) for crowd in crowds)


def _split(group: Groups, values: Values, tolerance: float) -> Groups:
    """Return the groups, split where sorted ``values`` of one are more than ``tolerance`` apart."""
    order = np.lexsort((values, group))
    starts = (np.diff(group[order]) != 0) | (np.diff(values[order]) > tolerance)
    split = np.empty_like(group)
    split[order] = np.concatenate([[0], np.cumsum(starts)])
    return split


def _distinct(rows: Tensor, chosen: Groups, tolerance: float) -> int:
    """Count, in order, the chosen rows that differ from all that were counted."""
    left, counted = rows.index_select(0, torch.from_numpy(chosen).to(rows.device)), 0
    while len(left):
        counted += 1
        left = left[(left - left[0]).abs().amax(dim=1) > tolerance]
    return counted
