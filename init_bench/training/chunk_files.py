"""The files of one chunk: its tables, and the checksums that make it whole."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from init_bench.errors import InitBenchError
from init_bench.files import sha256, write_atomic
from init_bench.training.chunks import name_of_keys
from init_bench.training.tables import SCHEMAS

COMMIT_ORDER = ("curves", "layers", "cells")


HISTOGRAMS = "histograms"
"""The table that a chunk may lack. It is written before the others; a version of this package that
does not know it reads the rest."""


CHECKSUMS = "checksums"
"""A chunk is complete if its checksum file, written last, agrees with its tables. The file repeats
the keys of its cells and a hash of the columns: it opens a folder without its tables."""


COLUMNS = hashlib.sha256("".join(map(str, SCHEMAS.values())).encode()).hexdigest()[:16]
"""Hash of the tables' columns."""


@dataclass(frozen=True)
class ChunkContent:
    """Hold what is written as one chunk.

    Attributes:
        write_table: by name of a table, writes it into the file that it is given.
        row_groups: keys of the cells in each row group of the tables.
        replaces: names of chunks that hold the same cells: they count no more from now on.
    """

    write_table: Mapping[str, Callable[[Path], object]]
    row_groups: Sequence[Sequence[str]]
    replaces: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """The keys of all cells."""
        return [key for keys in self.row_groups for key in keys]


@dataclass(frozen=True)
class ChunkFiles:
    """Name, write, check and move the files of the chunk ``name`` in the folder of a run."""

    folder: Path
    name: str

    @property
    def tables(self) -> list[Path]:
        """The tables that every chunk has, in the order in which they are written."""
        return [self.table(kind) for kind in COMMIT_ORDER]

    @property
    def every_table(self) -> list[Path]:
        """Every table that a chunk can have, in the order in which they are written."""
        return [self.table(HISTOGRAMS), *self.tables]

    @property
    def expected_tables(self) -> list[Path]:
        """The tables that this chunk should have, with that of the histograms if it had one."""
        try:
            counted = self.has(HISTOGRAMS)
        except (OSError, ValueError):  # the checksum file is damaged
            counted = self.table(HISTOGRAMS).exists()
        return self.every_table if counted else self.tables

    def table(self, kind: str) -> Path:
        """Return the file of one table."""
        return self.folder / kind / f"{self.name}.parquet"

    @property
    def sums(self) -> Path:
        """The checksum file."""
        return self.folder / CHECKSUMS / f"{self.name}.json"

    @property
    def failure(self) -> Path:
        """The file about a failure of the chunk."""
        return self.folder / "failures" / f"{self.name}.json"

    def write(self, content: ChunkContent) -> None:
        """Write the tables, each atomically, then their checksums; all of them or none."""
        try:
            kinds = [kind for kind in (HISTOGRAMS, *COMMIT_ORDER) if kind in content.write_table]
            if HISTOGRAMS in kinds:  # made now: an older version may have made the other folders
                self.table(HISTOGRAMS).parent.mkdir(exist_ok=True)
            for kind in kinds:
                write_atomic(self.table(kind), content.write_table[kind])
            sums: dict[str, Any] = {kind: sha256(self.table(kind)) for kind in kinds}
            sums |= {"columns": COLUMNS, "keys": content.keys}
            if content.replaces:
                sums |= {"row_groups": [*map(len, content.row_groups)]}
                sums |= {"replaces": list(content.replaces)}
            text = json.dumps(sums)
            write_atomic(self.sums, lambda part: part.write_text(text + "\n"))
        except OSError:
            self.remove()
            raise

    def remove(self) -> None:
        """Delete the files, the checksums first: what is left of a chunk does not count."""
        for path in (self.sums, *self.every_table):
            path.unlink(missing_ok=True)

    def set_aside(self) -> list[Path]:
        """Move the files to ``damaged/``; return where they were."""
        paths = [path for path in (*self.every_table, self.sums) if path.exists()]
        for path in paths:
            target = self.folder / "damaged" / f"{path.parent.name}-{path.name}"
            target.parent.mkdir(exist_ok=True)
            shutil.move(path, target)
        return paths

    def has(self, kind: str) -> bool:
        """Return whether the table counts: it is stated in the checksum file, or always there."""
        return kind in SCHEMAS or kind in json.loads(self.sums.read_text())

    def sound_sums(self) -> dict[str, Any] | None:
        """Return what the checksum file says, ``None`` if a table does not agree with it."""
        try:
            stated: dict[str, Any] = json.loads(self.sums.read_text())
            paths = self.every_table if HISTOGRAMS in stated else self.tables
            sound = all(sha256(path) == stated[path.parent.name] for path in paths)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return stated if sound else None

    def row_groups(self, sums: dict[str, Any]) -> list[list[str]]:
        """Return the keys of the cells in each row group of the tables.

        They are read from the tables if the checksum file is an old one.

        Raises:
            InitBenchError: the tables have other columns than this version writes.
        """
        keys: list[str] = sums.get("keys", [])
        if sums.get("columns") == COLUMNS and name_of_keys(keys) == self.name:
            edges = [0, *itertools.accumulate(sums.get("row_groups", [len(keys)]))]
            return [keys[a:b] for a, b in itertools.pairwise(edges)]
        for path in self.tables:
            if pq.read_schema(path) != SCHEMAS[path.parent.name]:
                raise InitBenchError(
                    f"{path.parent} has other columns than this version of init_bench writes; "
                    f"give a new folder, or read the files with pandas.read_parquet"
                )
        return [pq.read_table(self.tables[-1], columns=["key"])["key"].to_pylist()]

    def fragment(
        self, kind: str, row_groups: Sequence[Collection[str]], wanted: AbstractSet[str] | None
    ) -> ds.ParquetFileFragment:
        """Return the part of a table, not read yet, that holds the cells wanted.

        Args:
            row_groups: keys of the cells in each row group.
            wanted: keys of cells; ``None`` is all.
        """
        path = self.table(kind)
        whole = ds.ParquetFileFormat().make_fragment(str(path.absolute()), LocalFileSystem())
        if wanted is None or len(row_groups) == 1 or whole.num_row_groups != len(row_groups):
            return whole
        held = [i for i, keys in enumerate(row_groups) if not wanted.isdisjoint(keys)]
        return whole.subset(row_group_ids=held)


def names_in(folder: Path, suffix: str) -> set[str]:
    """Return the names of the chunks that have a file in ``folder``; hidden files are not whole.

    Every chunk that is written asks for them: of 10,000 chunks, ``Path.glob`` would take longer
    than the writing.
    """
    try:
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries]
    except FileNotFoundError:
        return set()
    ours = (file for file in files if file.endswith(suffix) and not file.startswith("."))
    return {file.removesuffix(suffix) for file in ours}
