"""Store a run in a folder: Parquet files that are complete or not there, with checksums."""

import functools
import itertools
import json
import logging
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from init_bench.errors import InitBenchError, StorageError
from init_bench.files import check_writable, make_folder, write_atomic
from init_bench.training.cell import Cell
from init_bench.training.chunk_files import CHECKSUMS, ChunkContent, ChunkFiles, names_in
from init_bench.training.chunk_tables import dataset_of, read_cells
from init_bench.training.chunks import chunk_name, name_of_keys
from init_bench.training.folder_format import MANIFEST, check_format, is_manifest
from init_bench.training.folder_locks import CLAIMS, locked
from init_bench.training.run_facts import commands_of
from init_bench.training.tables import SCHEMAS, TABLES, CellResult, to_tables

log = logging.getLogger(__name__)


OWN_FOLDERS = (*SCHEMAS, CHECKSUMS, "failures", "figures")
"""Made before the manifest is written."""


class Store:
    """Read and write the folder of one run.

    Raises:
        InitBenchError: ``folder`` is a file, cannot be written, or holds something else, or a run
            in a newer format.
    """

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self.folder = folder
        # By chunk that was found sound (each is checked once): the keys in each of its row groups.
        self._row_groups: dict[str, Sequence[Sequence[str]]] = {}
        self._stored: set[str] = set()  # all of these keys
        self._said_damaged = False  # of the manifest
        self._replaced: set[str] = set()  # chunks whose cells stand in a larger one as well
        check_format(folder / MANIFEST)
        if writable:
            check_writable(folder)
        others = {path.name for path in folder.glob("[!.]*")} - set(OWN_FOLDERS)
        unfinished = not names_in(folder / CHECKSUMS, ".json")  # killed before its manifest
        if MANIFEST not in others and (others or not unfinished):
            found = sorted(path.name for path in folder.iterdir())
            raise InitBenchError(
                f"output folder {folder} holds other files ({', '.join(found[:3])}) "
                f"and no run of init_bench; give a new or empty folder"
            )

    def open(self, manifest: dict[str, Any]) -> None:
        """Make the folders and write the manifest; an earlier one's grids, data, commands stay.

        Raises:
            InitBenchError: the folder's results are of other data of the same name, or of another
                version's columns.
        """
        self._check_new_chunks()
        self._merged(manifest)  # raises before a folder is made
        for name in ("", *OWN_FOLDERS):  # itself first
            make_folder(self.folder / name)
        with self.locked():
            merged = self._merged(manifest)
            old = self.manifest()
            if old is None or old["grid"] != merged["grid"]:
                text = json.dumps(merged, indent=1)
                write_atomic(self.folder / MANIFEST, lambda path: path.write_text(text + "\n"))

    def _merged(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Return ``manifest`` with what the stored one holds; raise on other data."""
        old = self.manifest()
        if old is None:
            return manifest
        sums, stored = manifest["dataset_sha256"], old["dataset_sha256"]
        changed = [name for name in stored if sums.get(name, stored[name]) != stored[name]]
        if changed:
            raise InitBenchError(
                f"{self.folder} holds results on other data named {changed[0]!r}: the files of "
                f"the data set have changed since. Give a new folder"
            )
        grids = [*old["grid"], *(grid for grid in manifest["grid"] if grid not in old["grid"])]
        earlier = old.get("earlier_commands", [])
        if (last := old.get("command", [])) not in earlier:
            earlier = [*earlier, last]
        sums = stored | sums
        return manifest | {"grid": grids, "dataset_sha256": sums, "earlier_commands": earlier}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while the block runs: other drivers write nothing meanwhile.

        The lock stands among the checksums: to make a file there refreshes the list of the others
        that an NFS client keeps.

        Raises:
            StorageError: the lock file cannot be written.
        """
        try:
            with locked(self.folder / CHECKSUMS / ".lock"):
                yield
        except OSError as cause:
            raise _cannot_write(self.folder, cause) from cause

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest, ``None`` where there is none yet or it is damaged."""
        path = self.folder / MANIFEST
        try:
            read = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            read = None
        if is_manifest(read):
            whole: dict[str, Any] = read
            return whole
        if not self._said_damaged:
            self._said_damaged = True
            log.warning("%s is damaged; a run writes it again", path)
        return None

    def write(
        self, results: Sequence[CellResult], *, claimed: Callable[[], bool] = lambda: False
    ) -> None:
        """Store a chunk, without those cells that another driver has stored meanwhile.

        Args:
            results: of the chunk's cells.
            claimed: whether these cells are still claimed by this driver, so that no other has
                stored them. To read the names of 10,000 chunks takes longer than to write.

        Raises:
            StorageError: a file cannot be written; nothing of the chunk is left.
        """
        with self.locked():
            if not claimed():
                self._check_new_chunks()
            new = [result for result in results if result.cell.key not in self._stored]
            if new:
                tables = to_tables(new)
                writers = {kind: functools.partial(pq.write_table, tables[kind]) for kind in tables}
                self.commit(ChunkContent(writers, [[result.cell.key for result in new]]))
        name = chunk_name([result.cell for result in results])
        ChunkFiles(self.folder, name).failure.unlink(missing_ok=True)

    def commit(self, content: ChunkContent) -> None:
        """Write a chunk as ``ChunkFiles.write`` does; call it under the lock.

        Raises:
            StorageError: a file cannot be written; nothing of the chunk is left.
        """
        chunk = self._chunk(name_of_keys(content.keys))
        try:
            chunk.write(content)
        except OSError as cause:
            raise _cannot_write(self.folder, cause) from cause
        self._add(chunk.name, content.row_groups)
        self._replaced |= set(content.replaces)

    def write_failure(self, cells: Sequence[Cell], error: BaseException) -> Path:
        """Store an error with its cells, from which the failure can be repeated.

        Raises:
            StorageError: the file cannot be written.
        """
        trace = "".join(traceback.format_exception(error))
        error_text = {"error": repr(error), "traceback": trace}
        failure = error_text | {"cells": [asdict(cell) for cell in cells]}
        path = ChunkFiles(self.folder, chunk_name(cells)).failure
        text = json.dumps(failure, indent=1)
        try:
            write_atomic(path, lambda part: part.write_text(text))
        except OSError as cause:
            raise _cannot_write(self.folder, cause) from cause
        return path

    def set_aside_damaged(self) -> list[Path]:
        """Move chunks with a missing or unreadable file to ``damaged/``; return their files."""
        with self.locked():
            unsound = self._check_new_chunks()
            self.remove_replaced()
            self._remove_temporary()
            # Under the lock nobody writes: a chunk without checksums is a killed driver's.
            chunks = [self._chunk(name) for name in sorted(unsound | self._without_checksums())]
            return [moved for chunk in chunks for moved in chunk.set_aside()]

    def _remove_temporary(self) -> None:
        """Delete half-written files that killed drivers left; call it under the lock."""
        for name in ("", *TABLES, CHECKSUMS, CLAIMS):
            for path in (self.folder / name).glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def remove_replaced(self) -> None:
        """Delete the chunks whose cells stand in a larger one; call it under the lock."""
        for name in self._replaced:
            self._chunk(name).remove()
        self._replaced = set()

    def chunks(self) -> dict[str, frozenset[str]]:
        """Return the keys of the cells of each whole chunk, by its name.

        Raises:
            InitBenchError: a file is damaged or missing; the message names it.
        """
        self.done()
        return {name: frozenset(self._keys(name)) for name in self._row_groups}

    def dataset(self, kind: str, keys: Collection[str] | None = None) -> ds.Dataset:
        """Return one table, not read yet, of the chunks that ``done`` found and hold these cells.

        Args:
            kind: ``cells``, ``curves``, ``layers`` or ``histograms``.
            keys: of cells; ``None`` is all. Other cells of their chunks are left out.
        """
        wanted = None if keys is None else set(keys)
        return dataset_of(self.folder, kind, self._row_groups, wanted)

    def cells(self) -> pa.Table:
        """Read the cells of the chunks that ``done`` found."""
        return read_cells(self.folder, sorted(self._row_groups))

    def done(self) -> set[str]:
        """Return the keys of all stored cells.

        Raises:
            InitBenchError: a file is damaged or missing; the message names it.
        """
        # A chunk without checksums is being written, or was when its driver was killed: left out.
        if unsound := self._check_new_chunks():
            raise self._damage(unsound)
        return set(self._stored)

    def _damage(self, unsound: Collection[str]) -> InitBenchError:
        """Return the error that names the files of these chunks, and what trains them again."""
        bad = [path for name in sorted(unsound) for path in self._chunk(name).expected_tables]
        listed = "\n  ".join(str(path) for path in bad)
        commands = commands_of(self.manifest() or {}, self.folder)
        ours = commands and all(command.startswith("init-bench ") for command in commands)
        again = (
            f"run {' and '.join(commands)} again"
            if ours
            else "repeat the call that wrote this folder"
        )
        return InitBenchError(
            f"a stored chunk is damaged or incomplete:\n  {listed}\n"
            f"{again}: it moves the damaged chunk to damaged/ and trains it once more"
        )

    def _check_new_chunks(self) -> set[str]:
        """Check the chunks that are new since the last call; return the unsound ones."""
        summed = names_in(self.folder / CHECKSUMS, ".json")
        for name in sorted(summed - self._row_groups.keys() - self._replaced):
            sums = self._chunk(name).sound_sums()
            if sums is not None:
                self._add(name, self._chunk(name).row_groups(sums))
                self._replaced |= set(sums.get("replaces", ()))
        gone = self._row_groups.keys() - (summed - self._replaced)
        if gone:
            self._row_groups = {n: keys for n, keys in self._row_groups.items() if n not in gone}
            self._stored = {key for name in self._row_groups for key in self._keys(name)}
        unsound = summed - self._row_groups.keys() - self._replaced
        return {name for name in unsound if self._chunk(name).sums.exists()}  # not just removed

    def _add(self, name: str, row_groups: Sequence[Sequence[str]]) -> None:
        """Note a chunk that is whole."""
        self._row_groups[name] = row_groups
        self._stored.update(self._keys(name))

    def _keys(self, name: str) -> Iterator[str]:
        """Return the keys of the cells of a chunk that is known."""
        return itertools.chain.from_iterable(self._row_groups[name])

    def _without_checksums(self) -> set[str]:
        """Return the names of chunks that are not written to the end."""
        tables = set().union(*(names_in(self.folder / kind, ".parquet") for kind in TABLES))
        return {
            name for name in tables - self._row_groups.keys() if not self._chunk(name).sums.exists()
        }

    def _chunk(self, name: str) -> ChunkFiles:
        return ChunkFiles(self.folder, name)


def _cannot_write(folder: Path, cause: OSError) -> StorageError:
    return StorageError(
        f"cannot write into {folder}: {cause}. What is stored there is whole; once there is room "
        f"and permission, run the same command again: it trains only what is missing"
    )
