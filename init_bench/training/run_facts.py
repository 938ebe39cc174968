"""Say what a reader needs to repeat a run or to trust its numbers."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
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
        facts |= {name: _listed(cells[name].unique()) for name in several}
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


def commands_of(manifest: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """Return the command lines that gave a run its grids, the first one first.

    A driver's share of a grid is left out: the command repeats the whole grid.

    Args:
        manifest: of the run.
        folder: where the run lies now. A command that writes elsewhere, as that of a copied folder
            does, gets it as ``--out``.

    Example:
        >>> manifest = {"command": ["init-bench", "run", "a.toml", "--shard", "1/3"]}
        >>> commands_of(manifest), commands_of(manifest, Path("copy"))
        (['init-bench run a.toml'], ['init-bench run a.toml --out copy'])
    """
    stored = [*manifest.get("earlier_commands", ()), manifest.get("command")]
    commands = [_without(command, "--shard") for command in stored if command]
    if folder:
        commands = [_into(folder, command) for command in commands]
    return list(dict.fromkeys(filter(None, map(command_of, commands))))


def _without(command: Sequence[str], option: str) -> list[str]:
    """Return a command line without an option that takes a value."""
    before = ["", *command]
    return [
        word
        for previous, word in zip(before, command, strict=False)
        if option not in (previous, word) and not word.startswith(f"{option}=")
    ]


def _into(folder: Path, command: list[str]) -> list[str]:
    """Return a command line of ours that writes its runs into this folder."""
    if not command_of(command).startswith("init-bench "):
        return command
    out = folder.parent if "bench" in command[1:2] else folder  # a bench stores runs in OUT/runs
    given = [word for previous, word in pairwise(command) if previous == "--out"]
    if any(Path(path).resolve() == out.resolve() for path in given):
        return command
    return [*_without(command, "--out"), "--out", str(out)]


def command_of(arguments: Sequence[str]) -> str:
    """Return the command line of these arguments, without the folder in which the program lies.

    Example:
        >>> command_of(["/opt/init_bench/__main__.py", "book", "--out", "my book"])
        "init-bench book --out 'my book'"
    """
    program, *arguments = arguments or [""]
    name = Path(program).name
    if not name:
        return ""
    ours = name in ("init-bench", "__main__.py")
    return shlex.join([*(["init-bench"] if ours else ["python", name]), *arguments])
