"""Describe the axes of a grid to a page's controls: names, values, what is shown first."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from init_bench.figures.style import color_name, label_of


class Axes:
    """Number the values of each axis, the best first for the axis that has a color for each.

    Args:
        runs: a row per combination: a column of each axis, ``cells`` and ``final_loss``.
        names: of the axes; the first has the colors.
    """

    def __init__(self, runs: pd.DataFrame, names: Sequence[str]) -> None:
        self.names = list(names)
        best = runs.groupby(self.names[0])["final_loss"].min().sort_values(na_position="last")
        self.values: list[list[Any]] = [best.index.tolist()]
        self.values += [sorted(runs[name].unique().tolist()) for name in self.names[1:]]
        self._places = [{v: i for i, v in enumerate(values)} for values in self.values]
        self._first = self._shown_first(runs)

    def at(self, row: Sequence[Any]) -> list[int]:
        """Return the number of each value of a combination."""
        return [places[value] for places, value in zip(self._places, row, strict=True)]

    def label(self, row: Sequence[Any]) -> str:
        """Return the values of a combination as text.

        Example:
            >>> runs = pd.DataFrame({"init": ["zeros"], "lr": [0.1], "cells": 1, "final_loss": 2.3})
            >>> Axes(runs, ["init", "lr"]).label(["zeros", 0.1])
            'zeros, lr 0.1'
        """
        named = zip(self.names, row, strict=True)
        return ", ".join(
            f"{value}" if isinstance(value, str) else f"{n} {value}" for n, value in named
        )

    def to_dict(self) -> dict[str, Any]:
        """Return names, values as text, the first axis' colors, and what is shown first of each."""
        texts = [[label_of(str(value)) for value in values] for values in self.values]
        colors = [color_name(str(value), i) for i, value in enumerate(self.values[0])]
        return {"names": self.names, "values": texts, "colors": colors, "first": self._first}

    def _shown_first(self, runs: pd.DataFrame) -> list[int]:
        """Return the values of all axes but the first that most runs share, else the best's."""
        if len(self.names) == 1:
            return [0]
        others = self.names[1:]
        groups = runs.groupby(others).agg(cells=("cells", "sum"), loss=("final_loss", "min"))
        groups = groups.assign(loss=groups["loss"].fillna(np.inf))
        row = groups.sort_values(["cells", "loss"], ascending=[False, True]).index[0]
        chosen = row if isinstance(row, tuple) else (row,)
        return [0, *(places[v] for places, v in zip(self._places[1:], chosen, strict=True))]


def neighbors(table: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], slice]]:
    """Yield the values of ``by`` of each stretch of rows that share them, and where it stands.

    ``groupby`` makes a frame of each: for thousands of them that takes seconds.

    Example:
        >>> table = pd.DataFrame({"init": ["ones", "ones", "zeros"], "lr": 0.1})
        >>> list(neighbors(table, ["init", "lr"]))
        [(('ones', 0.1), slice(0, 2, None)), (('zeros', 0.1), slice(2, 3, None))]
    """
    changes = np.flatnonzero(np.diff(table.groupby(list(by), sort=False).ngroup())) + 1
    edges = [0, *changes.tolist(), len(table)]
    values = table[list(by)].iloc[edges[:-1]].itertuples(index=False, name=None)
    yield from zip(values, itertools.starmap(slice, itertools.pairwise(edges)), strict=True)
