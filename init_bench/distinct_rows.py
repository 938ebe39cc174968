"""How many rows of a matrix differ: equal units are a symmetry that training cannot break."""

import numpy as np
import torch
from torch import Tensor

_COLUMNS = 4
"""Columns by whose values rows are told apart before any two rows are compared."""


def distinct_rows(rows: Tensor, ranges: Tensor, tolerance: float) -> int:
    """Count rows that differ from every row counted before them.

    Two rows are the same where no entry differs by more than ``tolerance``. Rows with a gap wider
    than that between their sorted values in some column differ; only those left together by the
    columns of widest range are compared entry by entry.

    Shapes:
        rows: ``(number, columns)``, finite, any device.
        ranges: ``(columns,)``, greatest less least value of each.

    Example:
        >>> rows = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 1.0]])
        >>> distinct_rows(rows, rows.amax(dim=0) - rows.amin(dim=0), 0.1)
        2
    """
    group = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    for column in ranges.topk(min(_COLUMNS, len(ranges))).indices.tolist():
        group = _split(group, rows[:, column], tolerance)
        members = np.bincount(group.cpu().numpy())
        if len(members) == len(rows):
            return len(rows)
    crowded = np.flatnonzero(members > 1).tolist()
    counted = (_distinct(rows[group == number], tolerance) for number in crowded)
    return int((members == 1).sum()) + sum(counted)


def _split(group: Tensor, values: Tensor, tolerance: float) -> Tensor:
    """Return the groups, split where sorted ``values`` of one are more than ``tolerance`` apart."""
    by_value = values.argsort(stable=True)
    order = by_value[group[by_value].argsort(stable=True)]
    in_group, sorted_values = group[order], values[order]
    starts = (in_group.diff() != 0) | (sorted_values.diff() > tolerance)
    numbers = torch.cat([starts.new_zeros(1), starts]).long().cumsum(dim=0)
    return torch.empty_like(group).scatter_(0, order, numbers)


def _distinct(rows: Tensor, tolerance: float) -> int:
    """Count, in order, the rows that differ from all that were counted."""
    counted = 0
    while len(rows):
        counted += 1
        rows = rows[(rows - rows[0]).abs().amax(dim=1) > tolerance]
    return counted
