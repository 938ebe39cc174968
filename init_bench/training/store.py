"""Store a run in a folder: Parquet files that are complete or not there, with checksums."""

import functools
import json
import logging
import shutil
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from init_bench.errors import InitBenchError
from init_bench.files import check_writable, make_folder, sha256, write_atomic
from init_bench.training.cell import Cell
from init_bench.training.chunks import chunk_name
from init_bench.training.tables import SCHEMAS, CellResult, to_tables

log = logging.getLogger(__name__)


MANIFEST = "manifest.json"


COMMIT_ORDER = ("curves", "layers", "cells")


CHECKSUMS = "checksums"
"""A chunk is complete if its checksum file, written last, agrees with its three tables."""


class Store:
    """Read and write the folder of one run.

    Raises:
        InitBenchError: ``folder`` is a file, cannot be written, or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        check_writable(folder)
        others = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        if others and MANIFEST not in others:
            raise InitBenchError(
                f"output folder {folder} holds other files ({', '.join(sorted(others)[:3])}) "
                f"and no run of init_bench; give a new or empty folder"
            )

    def open(self, manifest: dict[str, Any]) -> None:
        """Make the folders and write the manifest; an earlier one's grids and data stay in it.

        Raises:
            InitBenchError: the folder's results are of other data of the same name, or of another
                version's columns.
        """
        self._check_columns()
        old = self.manifest()
        if old is not None and old["dataset_sha256"] != manifest["dataset_sha256"]:
            shared = old["dataset_sha256"].keys() & manifest["dataset_sha256"].keys()
            changed = [
                n for n in shared if old["dataset_sha256"][n] != manifest["dataset_sha256"][n]
            ]
            if changed:
                raise InitBenchError(
                    f"{self.folder} holds results on other data named {changed[0]!r}: the files of "
                    f"the data set have changed since. Give a new folder"
                )
        for name in ("", *SCHEMAS, CHECKSUMS, "failures", "figures"):  # itself first
            make_folder(self.folder / name)
        if old is not None:
            manifest = manifest | {
                "grid": [*old["grid"], *(g for g in manifest["grid"] if g not in old["grid"])],
                "dataset_sha256": old["dataset_sha256"] | manifest["dataset_sha256"],
            }
        if old is None or old["grid"] != manifest["grid"]:
            text = json.dumps(manifest, indent=1)
            write_atomic(self.folder / MANIFEST, lambda path: path.write_text(text + "\n"))

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest, ``None`` where there is none yet or it is damaged."""
        path = self.folder / MANIFEST
        try:
            read = json.loads(path.read_text())
            return read if {"grid", "dataset_sha256"} <= read.keys() else None
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError):
            log.warning("%s is damaged; it is written again", path)
            return None

    def write(self, results: Sequence[CellResult]) -> None:
        """Store a chunk: its three tables, each atomically, then their checksums."""
        name, tables = chunk_name([r.cell for r in results]), to_tables(results)
        for path in self._files(name):
            write_atomic(path, functools.partial(pq.write_table, tables[path.parent.name]))
        sums = json.dumps({path.parent.name: sha256(path) for path in self._files(name)})
        write_atomic(self._sums(name), lambda part: part.write_text(sums + "\n"))
        self._failure(name).unlink(missing_ok=True)

    def write_failure(self, cells: Sequence[Cell], error: BaseException) -> Path:
        """Store an error with its cells, from which the failure can be repeated."""
        trace = "".join(traceback.format_exception(error))
        error_text = {"error": repr(error), "traceback": trace}
        failure = error_text | {"cells": [asdict(cell) for cell in cells]}
        path = self._failure(chunk_name(cells))
        text = json.dumps(failure, indent=1)
        write_atomic(path, lambda part: part.write_text(text))
        return path

    def set_aside_damaged(self) -> list[Path]:
        """Move chunks with a missing or unreadable file to ``damaged/``; return their files."""
        moved = []
        for name in sorted(self._chunks() - self._complete_chunks()):
            for path in (*self._files(name), self._sums(name)):
                if path.exists():
                    target = self.folder / "damaged" / f"{path.parent.name}-{path.name}"
                    target.parent.mkdir(exist_ok=True)
                    shutil.move(path, target)
                    moved.append(path)
        return moved

    def tables(self) -> dict[str, pa.Table]:
        """Return the three tables, all chunks of each in one.

        Raises:
            InitBenchError: a file is damaged or missing; the message names it.
        """
        self._check_columns()
        names = self._sound_chunks()
        return {
            kind: pa.concat_tables([schema.empty_table(), *self._read(kind, names)])
            for kind, schema in SCHEMAS.items()
        }

    def done(self) -> set[str]:
        """Return the keys of all stored cells."""
        tables = self._read("cells", self._sound_chunks())
        return {key for table in tables for key in table["key"].to_pylist()}

    def _sound_chunks(self) -> list[str]:
        """Return the names of all chunks; raise if one is damaged."""
        complete = self._complete_chunks()
        bad = [p for name in sorted(self._chunks() - complete) for p in self._files(name)]
        if bad:
            listed = "\n  ".join(str(path) for path in bad)
            raise InitBenchError(
                f"a stored chunk is damaged or incomplete:\n  {listed}\n"
                f"run the same command again: it moves the chunk to damaged/ and trains it again"
            )
        return sorted(complete)

    def _check_columns(self) -> None:
        """Raise where a stored table has other columns than this version writes."""
        for name in sorted(self._complete_chunks()):
            for path in self._files(name):
                if pq.read_schema(path) != SCHEMAS[path.parent.name]:
                    raise InitBenchError(
                        f"{path.parent} has other columns than this version of init_bench writes; "
                        f"give a new folder, or read the files with pandas.read_parquet"
                    )

    def _read(self, kind: str, names: Iterable[str]) -> list[pa.Table]:
        return [pq.read_table(self.folder / kind / f"{name}.parquet") for name in names]

    def _files(self, name: str) -> list[Path]:
        return [self.folder / kind / f"{name}.parquet" for kind in COMMIT_ORDER]

    def _failure(self, name: str) -> Path:
        return self.folder / "failures" / f"{name}.json"

    def _sums(self, name: str) -> Path:
        return self.folder / CHECKSUMS / f"{name}.json"

    def _chunks(self) -> set[str]:
        return {p.stem for kind in SCHEMAS for p in (self.folder / kind).glob("[!.]*.parquet")}

    def _complete_chunks(self) -> set[str]:
        return {name for name in self._chunks() if self._is_complete(name)}

    def _is_complete(self, name: str) -> bool:
        try:
            stated = json.loads(self._sums(name).read_text())
            return all(sha256(p) == stated[p.parent.name] for p in self._files(name))
        except (OSError, ValueError, KeyError, TypeError):
            return False
