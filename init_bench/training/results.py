"""Load the results of a run, and show them."""

import html
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.errors import InitBenchError
from init_bench.figures.export import files_of
from init_bench.files import write_files
from init_bench.training.cell import AXES
from init_bench.training.store import MANIFEST, Store
from init_bench.training.tables import LAST_STEPS

ALWAYS_SHOWN = ("init", "activation", "lr")
"""Axes that the summary table names even if they have one value."""


MEANING = (
    "cells: training runs of the row, one per seed; diverged: how many of them diverged; "
    f"final_loss: mean of the last\n{LAST_STEPS} steps and of the seeds; loss_sd: its standard "
    "deviation over seeds; test_accuracy: mean over seeds."
)
"""Explanation below the printed table."""


@dataclass(frozen=True, repr=False)
class Results:
    """Hold the measurements of a run as DataFrames; printed, show a summary.

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

    @property
    def summary(self) -> str:
        """Say how many cells were trained, diverged and failed, and where they are stored."""
        cells, diverged = len(self.cells), int((self.cells["status"] == "diverged").sum())
        failed = f", {len(self.failures)} chunks failed" * bool(self.failures)
        return (
            f"{cells} {'cell' if cells == 1 else 'cells'}: {cells - diverged} trained, "
            f"{diverged} diverged{failed}. Stored in {self.folder}."
        )

    @property
    def table(self) -> pd.DataFrame:
        """Return a row per combination of axes: cells, loss (mean, sd) and accuracy over seeds.

        Cells that diverged have no final loss and are left out of its mean.
        """
        varied = [name for name in self._varied_axes() if name not in ALWAYS_SHOWN]
        groups = self.cells.groupby([*ALWAYS_SHOWN, *varied])
        return groups.agg(
            cells=("key", "size"),
            diverged=("status", lambda status: (status == "diverged").sum()),
            final_loss=("final_loss", "mean"),
            loss_sd=("final_loss", "std"),
            test_accuracy=("test_accuracy", "mean"),
        ).reset_index()

    def figure(self, *, classes: int = 10) -> Figure:
        """Draw the loss over steps: a line per combination of axes, the mean over seeds.

        Args:
            classes: of the data set; their log is the loss of chance.
        """
        names = self._varied_axes() or ["init"]
        labels = self.curves[names].astype(str).agg(", ".join, axis=1)
        caption = f"Training loss by {', '.join(names)}."
        return figures.loss_curves(
            self.curves.assign(init=labels), caption=caption, classes=classes
        )

    def to_json(self) -> str:
        """Return the table ``cells`` as JSON records, null where there is no finite number."""
        records: str = self.cells.to_json(orient="records", double_precision=15)
        return json.dumps(json.loads(records), ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "results") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``, named after ``name``; return the paths."""
        return write_files(Path(folder), files_of(self, name))

    def of_cells(self, keys: set[str], failures: tuple[Path, ...] = ()) -> "Results":
        """Return the rows of the cells with these keys: a folder may hold more."""
        if set(self.cells["key"]) <= keys:
            return replace(self, failures=failures)
        cells, curves, layers = (
            frame[frame["key"].isin(keys)].reset_index(drop=True)
            for frame in (self.cells, self.curves, self.layers)
        )
        return Results(cells, curves, layers, folder=self.folder, failures=failures)

    def __repr__(self) -> str:
        if self.cells.empty:
            return self.summary
        table = self.table.to_string(index=False, float_format="{:.4g}".format)
        return f"{self.summary}\n{table}\n{MEANING}\nTables: .cells, .curves, .layers"

    def _repr_html_(self) -> str:
        table = self.table.to_html(index=False, float_format="{:.4g}".format)
        return f"<p>{html.escape(self.summary)}</p>{table}<p>{html.escape(MEANING)}</p>"

    def _varied_axes(self) -> list[str]:
        """Return the axes with several values, the seed left out."""
        return [name for name in AXES if name != "seed" and self.cells[name].nunique() > 1]


def load(folder: str | Path) -> Results:
    """Return the results stored in ``folder``.

    Args:
        folder: ``out`` of an earlier ``run``.

    Raises:
        InitBenchError: ``folder`` holds no run, or a file of it is damaged.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: no/such/folder holds no run of init_bench: there is no no/such/folder/manifest.json
    """  # noqa: E501 - the doctest shows the message as a user sees it
    path = Path(folder)
    if not (path / MANIFEST).is_file():
        raise InitBenchError(f"{path} holds no run of init_bench: there is no {path / MANIFEST}")
    tables = Store(path).tables()
    # Taken out one by one, so that a table and its frame are not both in memory at the end.
    cells, curves, layers = (
        _ordered(tables.pop(kind).to_pandas()) for kind in ("cells", "curves", "layers")
    )
    return Results(cells, curves, layers, folder=path)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows sorted by content, so that their order does not depend on the chunks."""
    by = [name for name in ("init", "activation", "seed", "key", "step", "index") if name in frame]
    return frame.sort_values(by, kind="stable", ignore_index=True)
