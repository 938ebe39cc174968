"""Read the tables of many chunks as one: the cells whole, any table as a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from init_bench.training.chunk_files import ChunkFiles
from init_bench.training.tables import SCHEMAS, TABLES

FILES_AT_ONCE = 100
"""Chunks whose cells are joined into one table at a time."""


def read_cells(folder: Path, names: Sequence[str]) -> pa.Table:
    """Read the cells of the chunks with these names.

    A pyarrow table of few rows takes many times the bytes of its rows, so tables are joined
    ``FILES_AT_ONCE`` at a time.
    """
    some = [names[i : i + FILES_AT_ONCE] for i in range(0, len(names), FILES_AT_ONCE)]
    tables = [
        pa.concat_tables(_cells_of(folder, name) for name in part).combine_chunks() for part in some
    ]
    return pa.concat_tables([SCHEMAS["cells"].empty_table(), *tables])


def _cells_of(folder: Path, name: str) -> pa.Table:
    # A dataset would keep 80 kB about each file that it has read.
    with pq.ParquetFile(ChunkFiles(folder, name).table("cells")) as file:
        return file.read(use_threads=False)


def dataset_of(
    folder: Path,
    kind: str,
    chunks: Mapping[str, Sequence[Sequence[str]]],
    wanted: set[str] | None,
) -> ds.Dataset:
    """Return one table, not read yet, of the chunks that hold the cells wanted.

    Args:
        folder: of the run.
        kind: of ``TABLES``; a chunk without it has no rows.
        chunks: by name, the keys of the cells in each row group.
        wanted: keys of cells; ``None`` is all. Other cells of their chunks are left out.
    """
    schema = TABLES[kind]
    held = sorted(
        name
        for name, row_groups in chunks.items()
        if (wanted is None or not all(map(wanted.isdisjoint, row_groups)))
        and ChunkFiles(folder, name).has(kind)
    )
    if not held:
        return ds.dataset(schema.empty_table())
    parts = [ChunkFiles(folder, name).fragment(kind, chunks[name], wanted) for name in held]
    found = ds.FileSystemDataset(parts, schema, ds.ParquetFileFormat(), LocalFileSystem())
    if wanted is None or all(wanted.issuperset(keys) for name in held for keys in chunks[name]):
        return found
    return found.filter(ds.field("key").isin(sorted(wanted)))
