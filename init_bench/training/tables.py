"""Turn the results of cells into Arrow tables, each of one fixed schema."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from init_bench.hooks.layer_call import LayerCall, Row
from init_bench.hooks.record import COLUMNS
from init_bench.statistics.histogram import Histogram
from init_bench.training.cell import AXES, Cell

LAST_STEPS = 50
"""``final_loss`` is the mean loss of this many last steps: one minibatch alone is noise."""


def averaged_steps(steps: Iterable[int]) -> str:
    """Return how many last steps ``final_loss`` averages in runs of so many steps.

    Example:
        >>> averaged_steps([2000]), averaged_steps([20, 500, 2000])
        ('50', '20 or 50')
    """
    return " or ".join(map(str, sorted({min(LAST_STEPS, count) for count in steps})))


_NAMES = {
    **dict.fromkeys(AXES, pa.string()),
    **dict.fromkeys(("width", "depth", "batch_size", "steps", "seed"), pa.int64()),
    **dict.fromkeys(("lr", "momentum", "weight_decay"), pa.float64()),
    "bias": pa.bool_(),
}


_CELL = [("key", pa.string()), *((name, _NAMES[name]) for name in AXES)]


_CAPTURED = [
    *_CELL,
    ("step", pa.int64()),
    ("layer", pa.string()),
    ("index", pa.int64()),
    ("kind", pa.string()),
]


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
            *_CAPTURED,
            *((name, pa.float64()) for name in COLUMNS[3:]),
        ]
    ),
}
"""Fixed schemas. ``status`` is ok or diverged; ``loss`` is before the update of its step;
``train_seconds`` is the cell's share of its chunk's time, the only column that varies from run to
run."""


TABLES: dict[str, pa.Schema] = SCHEMAS | {
    "histograms": pa.schema(
        [
            *_CAPTURED,
            ("rms", pa.float64()),
            ("counts", pa.list_(pa.int32())),
        ]
    )
}
"""Every table. A chunk may lack that of histograms: where no layer is captured, or where it was
stored before there was one. ``rms`` is √(mean z²) of the finite values of an output, ``counts`` how
many of them lie in each of 41 bins of equal width from -4 to 4 times ``rms``."""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """Hold the measurements of one trained cell.

    Attributes:
        losses: loss per step, before the update, up to the first that is not finite.
        layers: rows of captures, each with its ``step``; those of outputs have a ``histogram``.
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


def until_divergence(
    losses: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the curve up to its first loss that is not finite, and with that one."""
    broken = np.flatnonzero(~np.isfinite(losses))
    return losses[: broken[0] + 1].copy() if len(broken) else losses.copy()


def stored_row(row: Row, histogram: Histogram | None = None) -> Row:
    """Return what a run stores of a row of ``capture``."""
    return {name: row[name] for name in COLUMNS} | {"histogram": histogram}


def stored_rows(calls: Iterable[LayerCall]) -> Iterator[Row]:
    """Yield what a run stores of the layer calls of a pass."""
    for call in calls:
        output, *others = call.rows()
        yield stored_row(output, call.histogram)
        yield from map(stored_row, others)


def to_tables(results: Iterable[CellResult]) -> dict[str, pa.Table]:
    """Return the tables of one chunk; that of histograms only if it has rows."""
    results = list(results)
    tables = {
        name: _table(TABLES[name], results, [rows_of(result) for result in results], columns_of)
        for name, (rows_of, columns_of) in _OWN.items()
    }
    return {name: table for name, table in tables.items() if name in SCHEMAS or len(table)}


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


def _counted(result: CellResult) -> list[tuple[Row, Histogram]]:
    """Return the rows that have a histogram, and that."""
    pairs = ((row, row.get("histogram")) for row in result.layers)
    return [(row, found) for row, found in pairs if isinstance(found, Histogram)]


def _histogram_columns(results: Sequence[CellResult]) -> dict[str, Any]:
    pairs = [pair for result in results for pair in _counted(result)]
    names = ("step", "layer", "index", "kind")
    return {
        **{name: [row[name] for row, _ in pairs] for name in names},
        "rms": [found.rms for _, found in pairs],
        "counts": [found.counts for _, found in pairs],
    }


ColumnsOf = Callable[[Sequence[CellResult]], dict[str, Any]]
"""Returns the columns of a table, the rows of one cell after those of another."""


_OWN: dict[str, tuple[Callable[[CellResult], int], ColumnsOf]] = {
    "cells": (lambda result: 1, _cell_columns),
    "curves": (lambda result: len(result.losses), _curve_columns),
    "layers": (lambda result: len(result.layers), _layer_columns),
    "histograms": (lambda result: len(_counted(result)), _histogram_columns),
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
