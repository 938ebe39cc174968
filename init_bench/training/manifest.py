"""Describe a run: its grid, versions, device and data."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

from init_bench.training.folder_format import FORMAT
from init_bench.training.grid import Grid

VERSIONS = ("init_bench", "torchvision", "numpy", "pandas", "pyarrow")


def manifest(grids: Sequence[Grid], device: torch.device, sha256: dict[str, str]) -> dict[str, Any]:
    """Return what a run's manifest says: format, grids, data, versions, device, command."""
    return {
        "format": FORMAT,
        "grid": [grid.to_dict() for grid in grids],
        "device": str(device),
        "dataset_sha256": sha256,
        "versions": versions(),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
    }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    basic = {"python": platform.python_version(), "torch": torch.__version__}
    return basic | {name: _version(name) for name in VERSIONS}


def _version(name: str) -> str:
    """Return the version that is installed; this package also runs from its source tree."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed (runs from source)"
