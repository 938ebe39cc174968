"""Say what a reader needs to repeat a run or to trust its numbers."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from init_bench.training.cell import AXES
from init_bench.training.engine.optimizers import unread_settings

MOST_GRIDS = 20
"""Grids of a run that are described one by one."""


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
        facts |= {f"{name}": _listed(cells[name].unique()) for name in several}
        unread = set.intersection(*map(unread_settings, cells["optimizer"].unique()))
        fixed = [f"{n} {cells[n].iloc[0]}" for n in AXES if n not in {*several, "seed", *unread}]
        facts["the same in all"] = ", ".join(fixed)
    facts |= _grids(manifest.get("grid", ()))
    sums = manifest.get("dataset_sha256", {})
    facts |= {f"data {name}": f"SHA-256 {value}" for name, value in sums.items()}
    facts |= {
        name: str(manifest[name]) for name in ("device", "machine", "created") if name in manifest
    }
    versions = manifest.get("versions", {})
    if versions:
        facts["versions"] = ", ".join(f"{name} {value}" for name, value in versions.items())
    return facts


def _grids(grids: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what each of several grids holds: the values of all do not tell which go together."""
    if len(grids) < 2:
        return {}
    several = [n for n in AXES if len({v for grid in grids for v in grid.get(n, ())}) > 1]
    facts = {
        f"grid {number}": "; ".join(f"{name} {_listed(grid.get(name, ()))}" for name in several)
        for number, grid in enumerate(grids[:MOST_GRIDS], 1)
    }
    left_out = len(grids) - len(facts)
    return facts | ({"more grids": f"{left_out}, in manifest.json"} if left_out else {})


def _listed(values: Iterable[Any]) -> str:
    texts = [str(value) for value in values]
    return ", ".join(texts[:30]) + (f" … ({len(texts)})" if len(texts) > 30 else "")


def commands_of(manifest: Mapping[str, Any]) -> list[str]:
    """Return the command lines that gave a run its grids, the first one first.

    Example:
        >>> commands_of({"earlier_commands": [["init-bench", "run", "a.toml"]]})
        ['init-bench run a.toml']
    """
    arguments = [*manifest.get("earlier_commands", ()), manifest.get("command")]
    commands = (command_of({"command": command}) for command in arguments)
    return list(dict.fromkeys(filter(None, commands)))


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


def command_into(command: str, folder: Path) -> str:
    """Return a command line of this package that writes the runs of ``folder``.

    The folder may lie elsewhere than where the command wrote it.

    Example:
        >>> command_into("init-bench run a.toml --out old --workers 2", Path("copy"))
        'init-bench run a.toml --workers 2 --out copy'
        >>> command_into("init-bench bench --out=old", Path("copy/runs"))
        'init-bench bench --out copy'
    """
    words = shlex.split(command)
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before != "--out" and word.partition("=")[0] != "--out"
    ]
    out = folder.parent if "bench" in words[1:2] else folder
    return shlex.join([*kept, "--out", str(out)])
