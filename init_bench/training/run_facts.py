"""Say what a reader needs to repeat a run or to trust its numbers."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from init_bench.training.cell import AXES
from init_bench.training.engine.optimizers import unread_settings


def facts_of(cells: pd.DataFrame, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a reader needs to repeat or to trust the numbers, as terms and texts."""
    facts: dict[str, str] = {}
    if len(cells):
        seeds = sorted(cells["seed"].unique())
        several = [n for n in AXES if n != "seed" and cells[n].nunique() > 1]
        facts["runs"] = (
            f"{len(cells)}, of which {int((cells['status'] == 'diverged').sum())} diverged"
        )
        facts["seeds"] = ", ".join(map(str, seeds[:20])) + (" …" if len(seeds) > 20 else "")
        facts |= {f"{name}": _values(cells[name]) for name in several}
        unread = set.intersection(*map(unread_settings, cells["optimizer"].unique()))
        fixed = [f"{n} {cells[n].iloc[0]}" for n in AXES if n not in {*several, "seed", *unread}]
        facts["the same in all"] = ", ".join(fixed)
    sums = manifest.get("dataset_sha256", {})
    facts |= {f"data {name}": f"SHA-256 {value}" for name, value in sums.items()}
    facts |= {
        name: str(manifest[name]) for name in ("device", "machine", "created") if name in manifest
    }
    versions = manifest.get("versions", {})
    if versions:
        facts["versions"] = ", ".join(f"{name} {value}" for name, value in versions.items())
    return facts


def _values(column: pd.Series) -> str:
    values = [str(value) for value in column.unique()]
    return ", ".join(values[:30]) + (f" … ({len(values)})" if len(values) > 30 else "")


def command_of(manifest: Mapping[str, Any]) -> str:
    """Return the command line of a run, without the folder in which its program lies.

    Example:
        >>> command_of({"command": ["/opt/init_bench/__main__.py", "book", "--out", "my book"]})
        "init-bench book --out 'my book'"
    """
    program, *arguments = manifest.get("command") or [""]
    name = Path(program).name
    if not name:
        return ""
    ours = name in ("init-bench", "__main__.py")
    return shlex.join([*(["init-bench"] if ours else ["python", name]), *arguments])
