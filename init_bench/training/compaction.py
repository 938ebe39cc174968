"""Compact a run's folder: fewer, larger files of the same rows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from init_bench.errors import InitBenchError
from init_bench.training.chunk_files import HISTOGRAMS, ChunkContent, ChunkFiles
from init_bench.training.folder_format import folder_of_run
from init_bench.training.folder_locks import Claims, holder
from init_bench.training.store import Store
from init_bench.training.tables import SCHEMAS, TABLES

MOST_ROWS = 5_000_000
"""Rows of curves and layers in a file that is made; larger ones are left as they are."""


def compact(folder: str | Path) -> tuple[int, int]:
    """Merge the chunks of a run into few large ones; return their number before and after.

    The old files stay until the new ones are whole: a killed call loses nothing and leaves no row
    that counts twice, and the next call or run deletes what is left over.

    Args:
        folder: ``out`` of an earlier ``run``.

    Raises:
        InitBenchError: ``folder`` holds no run, is damaged, cannot be written, or a driver is
            training cells for it.

    Example:
        >>> compact("no/such/folder")
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: there is no folder no/such/folder
    """
    path = folder_of_run(folder)
    store = Store(path)
    with store.locked():
        drivers = Claims(path).others()
        if drivers:
            raise InitBenchError(
                f"{path} is being written by {' and '.join(map(holder, drivers))}; compact it when "
                f"the run has ended"
            )
        store.done()
        store.remove_replaced()  # an earlier call may have been killed
        chunks = store.chunks()
        for names in _groups(path, chunks):
            row_groups = [sorted(chunks[name]) for name in names]
            store.commit(ChunkContent(_merging(path, names), row_groups, replaces=names))
        store.remove_replaced()
        return len(chunks), len(store.chunks())


def _groups(folder: Path, chunks: Mapping[str, object]) -> list[list[str]]:
    """Return the names of chunks that become one, each group of two or more."""
    groups: list[list[str]] = [[]]
    rows = 0
    for name in sorted(chunks):
        more = sum(pq.read_metadata(path).num_rows for path in ChunkFiles(folder, name).tables)
        if groups[-1] and rows + more > MOST_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(name)
        rows += more
    return [group for group in groups if len(group) > 1]


def _merging(folder: Path, names: Sequence[str]) -> dict[str, Callable[[Path], object]]:
    counted = any(ChunkFiles(folder, name).has(HISTOGRAMS) for name in names)
    kinds = TABLES if counted else SCHEMAS
    return {kind: partial(_merge, folder, kind, names) for kind in kinds}


def _merge(folder: Path, kind: str, names: Sequence[str], path: Path) -> None:
    """Write a table of several chunks into ``path``: a row group of each, one at a time."""
    nothing = TABLES[kind].empty_table()  # of a chunk that has no histograms
    with pq.ParquetWriter(path, TABLES[kind]) as writer:
        for name in names:
            old = ChunkFiles(folder, name)
            writer.write_table(pq.read_table(old.table(kind)) if old.has(kind) else nothing)
