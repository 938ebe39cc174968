"""Turn the results of cells into Arrow tables, each of one fixed schema."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from init_bench.hooks.layer_call import Row
from init_bench.hooks.record import COLUMNS
from init_bench.training.cell import AXES, Cell

LAST_STEPS = 50
"""``final_loss`` is the mean loss of this many last steps: one minibatch alone is noise."""


_NAMES = {
    **dict.fromkeys(AXES, pa.string()),
    **dict.fromkeys(("width", "depth", "batch_size", "steps", "seed"), pa.int64()),
    **dict.fromkeys(("lr", "momentum", "weight_decay"), pa.float64()),
    "bias": pa.bool_(),
}


_CELL = [("key", pa.string()), *((name, _NAMES[name]) for name in AXES)]


SCHEMAS: dict[str, pa.Schema] = {
    "cells": pa.schema(
        [
            *_CELL,
            ("status", pa.string()),
            ("final_loss", pa.float64()),
            ("test_accuracy", pa.float64()),
            ("train_seconds", pa.float64()),
            ("device", pa.string()),
        ]
    ),
    "curves": pa.schema([*_CELL, ("step", pa.int64()), ("loss", pa.float32())]),
    "layers": pa.schema(
        [
            *_CELL,
            ("step", pa.int64()),
            ("layer", pa.string()),
            ("index", pa.int64()),
            ("kind", pa.string()),
            *((name, pa.float64()) for name in COLUMNS[3:]),
        ]
    ),
}
"""Fixed schemas. ``status`` is ok or diverged; ``loss`` is before the update of its step;
``train_seconds`` is the cell's share of its chunk's time, the only column that varies from run to
run."""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """Hold the measurements of one trained cell.

    Attributes:
        losses: loss per step, before the update, up to the first that is not finite.
        layers: rows of captures, each with its ``step``.
    """

    cell: Cell
    status: str
    losses: np.ndarray[tuple[int], np.dtype[np.float32]]
    test_accuracy: float
    train_seconds: float
    device: str
    layers: Sequence[Row]

    @property
    def final_loss(self) -> float:
        """Mean loss of the last 50 steps, nan where the run diverged."""
        last = np.mean(self.losses[-LAST_STEPS:], dtype=np.float64)
        return float(last) if self.status == "ok" else math.nan


def stored_row(row: Row) -> Row:
    """Return what a run stores of a row of ``capture``."""
    return {name: row[name] for name in COLUMNS}


def to_tables(results: Iterable[CellResult]) -> dict[str, pa.Table]:
    """Return the tables ``cells``, ``curves`` and ``layers`` of one chunk."""
    results = list(results)
    return {
        name: _table(SCHEMAS[name], results, [rows_of(result) for result in results], columns_of)
        for name, (rows_of, columns_of) in _TABLES.items()
    }


def _cell_columns(results: Sequence[CellResult]) -> dict[str, Any]:
    names = ("status", "final_loss", "test_accuracy", "train_seconds", "device")
    return {name: [getattr(result, name) for result in results] for name in names}


def _curve_columns(results: Sequence[CellResult]) -> dict[str, Any]:
    return {
        "step": np.concatenate([np.arange(len(result.losses)) for result in results]),
        "loss": np.concatenate([result.losses for result in results]),
    }


def _layer_columns(results: Sequence[CellResult]) -> dict[str, Any]:
    rows = [row for result in results for row in result.layers]
    return {name: [row[name] for row in rows] for name in ("step", *COLUMNS)}


ColumnsOf = Callable[[Sequence[CellResult]], dict[str, Any]]
"""Returns the columns of a table, the rows of one cell after those of another."""


_TABLES: dict[str, tuple[Callable[[CellResult], int], ColumnsOf]] = {
    "cells": (lambda result: 1, _cell_columns),
    "curves": (lambda result: len(result.losses), _curve_columns),
    "layers": (lambda result: len(result.layers), _layer_columns),
}
"""How many rows a cell has in each table, and their own columns."""


def _table(
    schema: pa.Schema, results: Sequence[CellResult], rows: Sequence[int], columns_of: ColumnsOf
) -> pa.Table:
    """Return a table, each cell's key and axes repeated beside its rows."""
    cell_of_row = np.repeat(np.arange(len(results)), rows)
    axes = [{"key": result.cell.key, **result.cell.axes} for result in results]
    own = columns_of(results)
    columns = [
        pa.array(own[field.name], type=field.type)
        if field.name in own
        else pa.array([cell[field.name] for cell in axes], type=field.type).take(cell_of_row)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
