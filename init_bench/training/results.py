"""Load the results of a run."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.training.store import MANIFEST, Store


@dataclass(frozen=True)
class Results:
    """What a run measured, as DataFrames.

    Attributes:
        cells: a row per cell: axes, status, final loss, test accuracy.
        curves: loss per cell and step, before the update of that step.
        layers: layer statistics per cell, step, layer and tensor kind.
        folder: where they are stored.
        failures: files about chunks that failed in this call.
    """

    cells: pd.DataFrame
    curves: pd.DataFrame
    layers: pd.DataFrame
    folder: Path
    failures: tuple[Path, ...] = ()


def load(folder: str | Path) -> Results:
    """Return the results stored in ``folder``.

    Raises:
        InitBenchError: ``folder`` holds no run, or a file of it is damaged.
    """
    path = Path(folder)
    if not (path / MANIFEST).is_file():
        raise InitBenchError(f"{path} holds no run of init_bench: there is no {path / MANIFEST}")
    tables = Store(path).tables()
    frames = {kind: table.to_pandas() for kind, table in tables.items()}
    cells, curves, layers = (_ordered(frames[kind]) for kind in ("cells", "curves", "layers"))
    return Results(cells, curves, layers, folder=path)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by what they are: the same order however the grid was cut into chunks."""
    by = [name for name in ("init", "activation", "seed", "key", "step", "index") if name in frame]
    return frame.sort_values(by, kind="stable", ignore_index=True)
