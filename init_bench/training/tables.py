"""Turn the results of cells into Arrow tables, each of one fixed schema."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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
        layers: capture tables, each with its ``step``.
    """

    cell: Cell
    status: str
    losses: np.ndarray[tuple[int], np.dtype[np.float32]]
    test_accuracy: float
    train_seconds: float
    device: str
    layers: Sequence[pd.DataFrame]

    @property
    def final_loss(self) -> float:
        """Mean loss of the last 50 steps, nan where the run diverged."""
        last = np.mean(self.losses[-LAST_STEPS:], dtype=np.float64)
        return float(last) if self.status == "ok" else math.nan


def to_tables(results: Iterable[CellResult]) -> dict[str, pa.Table]:
    """Return the tables ``cells``, ``curves`` and ``layers`` of one chunk."""
    results = list(results)
    return {
        name: pa.concat_tables([_table(name, rows(result), result.cell) for result in results])
        for name, rows in _ROWS.items()
    }


def _cell_rows(result: CellResult) -> dict[str, Any]:
    return {
        "status": [result.status],
        "final_loss": [result.final_loss],
        "test_accuracy": [result.test_accuracy],
        "train_seconds": [result.train_seconds],
        "device": [result.device],
    }


def _curve_rows(result: CellResult) -> dict[str, Any]:
    return {"step": np.arange(len(result.losses)), "loss": result.losses}


def _layer_rows(result: CellResult) -> dict[str, Any]:
    frame = pd.concat(result.layers) if result.layers else pd.DataFrame(columns=["step", *COLUMNS])
    return {name: frame[name].to_numpy() for name in ("step", *COLUMNS)}


_ROWS: dict[str, Callable[[CellResult], dict[str, Any]]] = {
    "cells": _cell_rows,
    "curves": _curve_rows,
    "layers": _layer_rows,
}


def _table(name: str, rows: dict[str, Any], cell: Cell) -> pa.Table:
    """Return ``rows`` with the cell's key and axes repeated beside them."""
    schema = SCHEMAS[name]
    length = len(next(iter(rows.values())))
    fixed = {"key": cell.key, **cell.axes}
    columns = [
        pa.array(rows[field.name], type=field.type)
        if field.name in rows
        else pa.repeat(pa.scalar(fixed[field.name], type=field.type), length)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
