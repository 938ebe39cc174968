"""Tell whether a folder holds a run, and in which format: a newer one is refused, not misread."""

import json
from pathlib import Path

from init_bench.errors import InitBenchError

MANIFEST = "manifest.json"


FORMAT = 1
"""Of the folders that this version writes. A manifest that states none is of format 1."""


def folder_of_run(folder: str | Path) -> Path:
    """Return ``folder`` if an earlier run is stored in it.

    Raises:
        InitBenchError: it holds no run.
    """
    path = Path(folder)
    if not path.exists():
        raise InitBenchError(f"there is no folder {path}")
    if not (path / MANIFEST).is_file():
        raise InitBenchError(f"{path} holds no run of init_bench: there is no {path / MANIFEST}")
    return path


def check_format(manifest: Path) -> None:
    """Refuse the folder of a run that a newer version has written.

    Raises:
        InitBenchError: its manifest states a format that this version does not know.

    Example:
        >>> import tempfile
        >>> manifest = Path(tempfile.mkdtemp()) / "manifest.json"
        >>> _ = manifest.write_text('{"format": 2}')
        >>> check_format(manifest)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: .../manifest.json is of a run in format 2...
    """
    try:
        stated = json.loads(manifest.read_text()).get("format", FORMAT)
    except (OSError, ValueError, AttributeError):  # none, or damaged: a run writes it again
        return
    if stated != FORMAT:
        raise InitBenchError(
            f"{manifest} is of a run in format {stated}, and this version of init_bench knows "
            f"format {FORMAT} alone: upgrade init_bench, or give a new folder. Nothing was written"
        )


def is_manifest(read: object) -> bool:
    """Return whether a JSON value has what is relied on: grids, and the data's checksums.

    Example:
        >>> is_manifest({"grid": [{}], "dataset_sha256": {}}), is_manifest([1])
        (True, False)
    """
    if not isinstance(read, dict):
        return False
    grids, sums = read.get("grid"), read.get("dataset_sha256")
    return (
        isinstance(sums, dict)
        and isinstance(grids, list)
        and all(isinstance(grid, dict) for grid in grids)
    )
