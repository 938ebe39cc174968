"""Load the results of a run, and show them."""

import html
import json
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from matplotlib.figure import Figure
from pyarrow import acero

from init_bench import figures
from init_bench.errors import lookup
from init_bench.figures.export import files_of
from init_bench.figures.page import render
from init_bench.files import json_records, write_files
from init_bench.training.axes import cells_with
from init_bench.training.cell import AXES
from init_bench.training.folder_format import folder_of_run
from init_bench.training.histogram_bins import bins_of
from init_bench.training.run_page import common_classes, ordered_axes, over_seeds, page_of_run
from init_bench.training.store import Store
from init_bench.training.tables import TABLES, averaged_steps
from init_bench.words import counted

ALWAYS_SHOWN = ("init", "activation", "lr")
"""Axes that the summary table names even if they have one value."""


@dataclass(frozen=True, repr=False)
class Results:
    """Hold the measurements of a run as DataFrames; printed, show a summary.

    Attributes:
        cells: a row per cell: axes, status, final loss, test accuracy.
        store: the folder, opened; curves and layers are read when they are first used.
        failures: files about chunks that failed in this call.
    """

    cells: pd.DataFrame
    store: Store
    failures: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the results are stored."""
        return self.store.folder

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Loss per cell and step, before the update of that step; all of them, in memory."""
        return self._frame("curves")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Statistics per cell, step, layer and tensor kind; all of them, in memory."""
        return self._frame("layers")

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """Values of each output per cell, step and layer, a row per bin of -4 to 4 RMS."""
        return self._frame("histograms")

    def scan(
        self,
        table: str = "curves",
        *,
        steps: Collection[int] | None = None,
        columns: Sequence[str] | None = None,
        **axes: Any,
    ) -> ds.Scanner:
        """Return rows that are read when they are asked for: a grid may be larger than the memory.

        ``.to_table().to_pandas()`` of what it returns reads the rows, ``.to_batches()`` a part at
        a time, ``.head(n)`` the first, ``.count_rows()`` none. Their order is that of the files.

        Args:
            table: ``curves``, ``layers``, ``cells`` or, a row per output, ``histograms``.
            steps: only these; ``range(0, 2000, 10)`` is every tenth.
            columns: only these.
            axes: only the cells with this value, or one of these values: ``init="he_normal"``.

        Raises:
            InitBenchError: an unknown table, column or axis, or a value that no cell has.

        Example:
            >>> import tempfile
            >>> from init_bench import Grid, run
            >>> grid = Grid(seed=range(3), width=4, depth=2, steps=20)
            >>> results = run(grid, tempfile.mkdtemp(), device="cpu", progress=False)
            >>> scan = results.scan(steps=range(0, 20, 5), columns=["step", "loss"], seed=[0, 2])
            >>> scan.count_rows(), scan.to_table().column_names
            (8, ['step', 'loss'])
        """
        lookup(TABLES, table, kind="table")
        names = dict.fromkeys(TABLES[table].names)
        asked = [*(columns or ()), *(["step"] if steps is not None else [])]
        for name in asked:
            lookup(names, name, kind="column")
        rows = self.store.dataset(table, set(cells_with(self.cells, axes)["key"]))
        chosen = None if steps is None else ds.field("step").isin(list(steps))
        return rows.scanner(columns=None if columns is None else list(columns), filter=chosen)

    def mean_curves(self, *, steps: Collection[int] | None = None, **axes: Any) -> pd.DataFrame:
        """Return the mean loss over seeds at each step, without loading the curves.

        Args:
            steps: only these; ``range(0, 2000, 10)`` is every tenth.
            axes: as in ``scan``.

        Returns:
            A row per combination of axes and step: ``loss`` is the mean, ``loss_sd`` the standard
            deviation (dividing by n - 1), ``cells`` the number of curves.

        Raises:
            InitBenchError: an unknown axis, or a value that no cell has.

        Example:
            >>> import tempfile
            >>> from init_bench import Grid, run
            >>> grid = Grid(seed=range(3), width=4, depth=2, steps=20)
            >>> results = run(grid, tempfile.mkdtemp(), device="cpu", progress=False)
            >>> results.mean_curves(steps=[0, 19])[["init", "step", "cells"]].to_dict("list")
            {'init': ['he_normal', 'he_normal'], 'step': [0, 19], 'cells': [3, 3]}
        """
        by = [*(self._varied_axes() or ["init"]), "step"]
        rows = self.scan(steps=steps, columns=[*by, "loss"], **axes).to_reader()
        source = acero.Declaration(
            "record_batch_reader_source", acero.RecordBatchReaderSourceNodeOptions(rows)
        )
        sums = [
            ("loss", "hash_mean", None, "loss"),
            ("loss", "hash_stddev", pc.VarianceOptions(ddof=1), "loss_sd"),
            ("loss", "hash_count", None, "cells"),
        ]
        mean = acero.Declaration("aggregate", acero.AggregateNodeOptions(sums, by), [source])
        found: pd.DataFrame = mean.to_table().to_pandas()
        return found.sort_values(by, ignore_index=True)

    @property
    def axes(self) -> list[str]:
        """The axes with several values, the seed left out; ``init`` where there is none."""
        return ordered_axes(self._varied_axes()) or ["init"]

    @property
    def manifest(self) -> dict[str, Any]:
        """Grids, versions, device and command of the run; empty if the manifest is damaged."""
        return self.store.manifest() or {}

    @property
    def summary(self) -> str:
        """Say how many cells were trained, diverged and failed, and where they are stored."""
        cells, diverged = len(self.cells), int((self.cells["status"] == "diverged").sum())
        failed = f", {counted(len(self.failures), 'chunk')} failed" * bool(self.failures)
        return (
            f"{counted(cells, 'cell')}: {cells - diverged} trained, "
            f"{diverged} diverged{failed}. Stored in {self.folder}."
        )

    @property
    def table(self) -> pd.DataFrame:
        """Return a row per combination of axes: cells, loss (mean, sd) and accuracy over seeds.

        Cells that diverged have no final loss and are left out of its mean.
        """
        varied = [name for name in self._varied_axes() if name not in ALWAYS_SHOWN]
        return over_seeds(self.cells, [*ALWAYS_SHOWN, *varied])

    @property
    def meaning(self) -> str:
        """Say what the columns of ``table`` are."""
        return (
            "cells: training runs of the row, one per seed; diverged: how many of them diverged; "
            f"final_loss: mean of the last\n{averaged_steps(self.cells['steps'])} steps and of the "
            "seeds; loss_sd: its standard deviation over seeds; test_accuracy: mean over seeds."
        )

    def figure(self, *, classes: int | None = None) -> Figure:
        """Draw the loss over steps: a line per combination of axes, the mean over seeds.

        Args:
            classes: of the data set; their log is the loss of chance. ``None``: what is known of
                the runs' data sets.
        """
        names = self._varied_axes() or ["init"]
        labels = self.curves[names].astype(str).agg(", ".join, axis=1)
        caption = f"Training loss by {', '.join(names)}."
        return figures.loss_curves(
            self.curves.assign(init=labels),
            caption=caption,
            classes=classes or common_classes(self.cells),
        )

    def to_json(self) -> str:
        """Return the table ``cells`` as JSON records, null where there is no finite number."""
        return json.dumps(json_records(self.cells, digits=15), ensure_ascii=False)

    def save(
        self, folder: str | Path, name: str = "results", *, expected: pd.DataFrame | None = None
    ) -> list[Path]:
        """Write figure, HTML and JSON into ``folder``, and the page ``report.html``.

        Args:
            folder: is made if it is not there.
            name: of the first three files.
            expected: what theory predicts, drawn beside the measurement:
                ``init_bench.theory.expected_of_runs(results.layers)``.

        Returns:
            The paths.
        """
        page = {"report.html": self.report(expected=expected).encode()}
        return write_files(Path(folder), {**files_of(self, name), **page})

    def report(self, *, expected: pd.DataFrame | None = None) -> str:
        """Return the page of the run as HTML: one file that needs no network.

        Args:
            expected: as in ``save``.
        """
        return render(page_of_run(self, expected=expected))

    def of_cells(self, keys: set[str]) -> "Results":
        """Return the rows of the cells with these keys: a folder may hold more."""
        mine = self.cells[self.cells["key"].isin(keys)].reset_index(drop=True)
        return Results(mine, self.store)

    def __repr__(self) -> str:
        if self.cells.empty:
            return self.summary
        table = self.table.to_string(index=False, float_format="{:.4g}".format)
        tables = "Tables: .cells, .curves, .layers, .histograms"
        return f"{self.summary}\n{table}\n{self.meaning}\n{tables}"

    def _repr_html_(self) -> str:
        table = self.table.to_html(index=False, float_format="{:.4g}".format)
        return f"<p>{html.escape(self.summary)}</p>{table}<p>{html.escape(self.meaning)}</p>"

    def _frame(self, table: str) -> pd.DataFrame:
        """Return a table sorted by cells as ``cells`` is, then by step and layer."""
        rows = self.store.dataset(table, set(self.cells["key"])).to_table()
        place = pc.index_in(rows["key"], pa.array(self.cells["key"], pa.string())).to_numpy()
        inner = [rows[name].to_numpy() for name in ("index", "step") if name in rows.column_names]
        rows = rows.take(np.lexsort((*inner, place)))
        frame: pd.DataFrame = (bins_of(rows) if table == "histograms" else rows).to_pandas()
        return frame

    def _varied_axes(self) -> list[str]:
        """Return the axes with several values, the seed left out."""
        return [name for name in AXES if name != "seed" and self.cells[name].nunique() > 1]


def load(folder: str | Path, **axes: Any) -> Results:
    """Return the results stored in ``folder``.

    Args:
        folder: ``out`` of an earlier ``run``.
        axes: only the cells with this value, or one of these values: ``init="he_normal"``,
            ``lr=[0.01, 0.1]``.

    Raises:
        InitBenchError: ``folder`` holds no run, a file of it is damaged, or ``axes`` name an
            unknown axis or a value that no cell has.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: there is no folder no/such/folder
    """
    results = results_of(Store(folder_of_run(folder), writable=False))
    return Results(cells_with(results.cells, axes), results.store)


def results_of(
    store: Store, keys: AbstractSet[str] | None = None, failures: tuple[Path, ...] = ()
) -> Results:
    """Return the results in an open store of the cells with these keys; ``None`` is all.

    Raises:
        InitBenchError: a file is damaged.
    """
    stored = store.done()
    cells = store.cells()
    if keys is not None and not stored <= keys:
        cells = cells.filter(pc.is_in(cells["key"], pa.array(keys, pa.string())))
    by = ("init", "activation", "seed", "key")
    cells = cells.sort_by([(name, "ascending") for name in by])  # pandas' sort takes more memory
    return Results(cells.to_pandas(split_blocks=True, self_destruct=True), store, failures)
