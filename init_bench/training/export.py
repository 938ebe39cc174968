"""Export a run for other tools: CSV files, or TensorBoard's scalars, histograms and HParams."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from init_bench.errors import InitBenchError, lookup
from init_bench.files import make_folder, write_atomic
from init_bench.statistics import STATISTICS
from init_bench.statistics.histogram import CENTERS, REACH, divisor
from init_bench.training.cell import AXES
from init_bench.training.histogram_bins import BINS_SCHEMA, bins_of
from init_bench.training.results import Results, load
from init_bench.training.tables import TABLES

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

HISTOGRAMS = "histograms.parquet"
"""Table beside a run that holds histograms of activations, as the book's folder has one."""


MOST_NAME = 80
"""Characters of the name of a TensorBoard run; a longer one is the cell's key."""


COUNTED = 1000
"""Values that a histogram of shares stands for: TensorBoard wants counts."""


def export(
    run: Results | str | Path, out: str | Path | None = None, *, format: str = "csv"
) -> list[Path]:
    """Write the tables of a run in the format of another tool.

    ``csv`` writes ``cells.csv``, ``curves.csv``, ``layers.csv`` and ``histograms.csv``, a row per
    bin. ``tensorboard`` writes a folder per cell, named after the axes that vary: the loss over
    steps, every statistic of a layer at the captured steps as ``<kind>/<layer>/<statistic>``, the
    histogram of each output as ``<kind>/<layer>``, and the axes with final loss and accuracy for
    the HParams tab. Where the folder holds ``histograms.parquet``, as the book's does, its
    histograms follow. Numbers that are not finite are left out.

    Args:
        run: results, or the folder of a run; one in progress will do.
        out: folder to write to; default: one named after the format inside the run's folder.
        format: ``csv`` or ``tensorboard``; the latter needs the package of that name.

    Returns:
        the CSV files, or the folders of TensorBoard's runs.

    Raises:
        InitBenchError: the folder holds no run, the format is unknown, or tensorboard is missing.

    Example:
        >>> import tempfile
        >>> from init_bench import Grid, run
        >>> results = run(
        ...     Grid(width=4, depth=2, steps=3), tempfile.mkdtemp(), device="cpu", progress=False)
        >>> [path.name for path in export(results)]
        ['cells.csv', 'curves.csv', 'layers.csv', 'histograms.csv']
    """
    write = lookup(FORMATS, format, kind="format")
    results = run if isinstance(run, Results) else load(run)
    folder = results.folder / format if out is None else Path(out)
    make_folder(folder)
    return list(write(results, folder))


def _write_csv(results: Results, folder: Path) -> Iterator[Path]:
    """Write each table as CSV, a batch of rows at a time; yield the paths."""
    for table in TABLES:
        path = folder / f"{table}.csv"
        write_atomic(path, functools.partial(_stream, results, table))
        yield path


def _stream(results: Results, table: str, path: Path) -> None:
    binned = table == "histograms"
    with csv.CSVWriter(path, BINS_SCHEMA if binned else TABLES[table]) as writer:
        for batch in results.scan(table).to_batches():
            rows = pa.Table.from_batches([batch])
            writer.write_table(bins_of(rows) if binned else rows)


def _write_tensorboard(results: Results, folder: Path) -> Iterator[Path]:
    """Write a run of TensorBoard per cell, and one per table of histograms; yield their folders."""
    writer_class = _summary_writer()
    varied = [name for name in AXES if results.cells[name].nunique() > 1]
    for cell in results.cells.to_dict("records"):
        path = _emptied(folder / _run_name(cell, varied))
        with closing(writer_class(str(path))) as writer:
            _add_cell(writer, cell, results)
        yield path
    if (results.folder / HISTOGRAMS).is_file():
        table = pd.read_parquet(results.folder / HISTOGRAMS)
        for (init, activation), rows in table.groupby(["init", "activation"], sort=False):
            path = _emptied(folder / "histograms" / f"init={init},activation={activation}")
            with closing(writer_class(str(path))) as writer:
                _add_histograms(writer, rows)
            yield path


def _emptied(path: Path) -> Path:
    """Return a folder without the event files of an earlier export: points would show twice."""
    for old in path.glob("events.out.tfevents*"):
        old.unlink()
    return path


def _summary_writer() -> "type[SummaryWriter]":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as cause:
        raise InitBenchError(
            "format 'tensorboard' needs the package tensorboard: "
            'pip install "init_bench[tensorboard]"'
        ) from cause
    return SummaryWriter


def _run_name(cell: dict[Any, Any], varied: list[str]) -> str:
    """Return the axes of a cell that vary, or its key where they make a long name."""
    name = ",".join(f"{axis}={cell[axis]}" for axis in varied).replace("/", "_")
    return name if 0 < len(name) <= MOST_NAME else str(cell["key"])[:16]


def _add_cell(writer: "SummaryWriter", cell: dict[Any, Any], results: Results) -> None:
    """Add the loss, the layers' statistics and histograms, and the axes of one cell."""
    frames = {name: _rows(results, name, cell["key"]) for name in ("curves", "layers")}
    for row in frames["curves"].itertuples():
        _add(writer, "loss", row.loss, row.step)
    for record in frames["layers"].to_dict("records"):
        for statistic in STATISTICS:
            tag = f"{record['kind']}/{record['layer']}/{statistic}"
            _add(writer, tag, record[statistic], record["step"])
    for record in _rows(results, "histograms", cell["key"]).to_dict("records"):
        _add_counts(writer, record)
    ends = {name: cell[name] for name in ("final_loss", "test_accuracy")}
    found = {name: value for name, value in ends.items() if math.isfinite(value)}
    writer.add_hparams({axis: cell[axis] for axis in AXES}, found, run_name=".")


def _rows(results: Results, table: str, key: str) -> pd.DataFrame:
    frame: pd.DataFrame = results.store.dataset(table, {key}).to_table().to_pandas()
    return frame.sort_values("step", kind="stable")


def _add(writer: "SummaryWriter", tag: str, value: Any, step: Any) -> None:
    if math.isfinite(value):
        writer.add_scalar(tag, value, step)


def _add_counts(writer: "SummaryWriter", record: dict[Any, Any]) -> None:
    """Add the histogram of one output, where any of its values is finite."""
    if record["counts"].any():
        width = divisor(record["rms"]) * 2 * REACH / len(CENTERS)
        centers = divisor(record["rms"]) * np.array(CENTERS)
        tag = f"{record['kind']}/{record['layer']}"
        _add_histogram(writer, tag, centers, width, record["counts"], record["step"])


def _add_histograms(writer: "SummaryWriter", table: pd.DataFrame) -> None:
    """Add the histogram of each layer's activations, over all of its range."""
    widest = table["range"].iloc[-1]  # the book's own range cuts values off
    for layer, bins in table[table["range"] == widest].groupby("layer"):
        counts, centers = COUNTED * bins["share"].to_numpy(float), bins["centre"].to_numpy(float)
        width = float(bins["width"].iloc[0])
        _add_histogram(writer, f"activation/layer {layer}", centers, width, counts, 0)


def _add_histogram(
    writer: "SummaryWriter", tag: str, centers: Any, width: float, counts: Any, step: int
) -> None:
    edges = centers + width / 2
    writer.add_histogram_raw(
        tag,
        min=float(centers[0] - width / 2),
        max=float(edges[-1]),
        num=float(counts.sum()),
        sum=float(counts @ centers),
        sum_squares=float(counts @ np.square(centers)),
        bucket_limits=edges.tolist(),
        bucket_counts=counts.tolist(),
        global_step=step,
    )


FORMATS: dict[str, Callable[[Results, Path], Iterator[Path]]] = {
    "csv": _write_csv,
    "tensorboard": _write_tensorboard,
}
"""Formats by name, and what writes each."""
