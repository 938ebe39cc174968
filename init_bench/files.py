"""Write files atomically, make output folders, hash files, turn tables into JSON."""

import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from init_bench.errors import InitBenchError

if TYPE_CHECKING:
    import pandas as pd


README = "README.md"
"""What a folder of results says about itself."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder for output, unless it is there.

    Raises:
        InitBenchError: ``folder`` is a file, or cannot be made or written.
    """
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise InitBenchError(f"output folder {folder} cannot be made: {cause}") from None


def check_writable(folder: Path) -> None:
    present = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not present.is_dir():
        raise InitBenchError(f"output folder {folder}: {present} is a file; give another folder")
    if not os.access(present, os.W_OK | os.X_OK):
        raise InitBenchError(
            f"output folder {folder}: {present} is not writable; give another folder"
        )


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a temporary file beside ``path``, then rename it: all or nothing.

    Raises:
        OSError: the file cannot be written; it names the file, which on a full disk it does not.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")  # hosts may share the folder
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as cause:
        if cause.errno and not cause.filename:
            cause.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write a file of each name into ``folder``, which is made; return the paths.

    Raises:
        InitBenchError: ``folder`` is a file, or cannot be made or written.
    """
    make_folder(folder)
    paths = []
    for name, content in contents.items():
        paths.append(folder / name)
        write_atomic(paths[-1], functools.partial(Path.write_bytes, data=content))
    return paths


def head_of_readme(folder: Path) -> dict[str, str]:
    """Return the terms and texts of a README's first table without headings; none without a file.

    Terms without a text are left out, such as the commit outside of a checkout.

    The READMEs that jobs write say there how they were made: command, seeds, versions, machine.
    """
    path = folder / README
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines()
    first = next((n for n, line in enumerate(lines) if line.replace(" ", "") == "|||"), len(lines))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
    pairs = (line.strip("| ").partition(" | ") for line in rows)
    return {term.strip(): text.strip(" `") for term, _, text in pairs if text}


def json_records(table: "pd.DataFrame", *, digits: int = 10) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values, rounded to so many decimals; nan becomes None.

    Example:
        >>> import pandas as pd
        >>> json_records(pd.DataFrame({"layer": ["fc1", "fc2"], "std": [0.5, float("nan")]}))
        [{'layer': 'fc1', 'std': 0.5}, {'layer': 'fc2', 'std': None}]
    """
    text = table.to_json(orient="records", double_precision=digits)
    records: list[dict[str, Any]] = json.loads(text)
    return records
