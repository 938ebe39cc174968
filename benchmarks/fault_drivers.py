"""Start drivers of a grid that something happens to, and judge what they leave behind.

A driver is the command line in a process of its own, forked from this one so that it need not load
torch anew.
"""

import errno
import functools
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import init_bench as ib
from init_bench.training.chunk_files import CHECKSUMS
from init_bench.training.results import Results

AXES: dict[str, Any] = {"width": 16, "depth": 3, "batch_size": 16, "steps": 40}
INITS = ["he_normal", "normal(std=1)"]
KINDS = ("cells", "curves", "layers")
EXIT_SECONDS = 300.0


def grid(seeds: range, **changes: Any) -> ib.Grid:
    """Return a grid of two cells for each seed."""
    return ib.Grid(init=INITS, seed=seeds, **{**AXES, **changes})


@dataclass
class Driver:
    """Hold a driver that runs and the file with what it says."""

    process: Any
    log: Path

    def wait(self) -> int:
        """Return its exit code; one that does not end is killed."""
        self.process.join(EXIT_SECONDS)
        if self.process.is_alive():
            self.kill()
            raise TimeoutError(f"a driver did not end within {EXIT_SECONDS:g} s; see {self.log}")
        return int(self.process.exitcode)

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        self.process.kill()
        self.process.join()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self.log.read_text()


def start(
    which: ib.Grid, out: Path, *options: str, fault: Callable[[], None] = lambda: None
) -> Driver:
    """Start ``init-bench run`` of a grid.

    Args:
        which: the grid.
        out: folder of the run.
        options: further ones of the command.
        fault: called in the driver before it runs.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    number = time.monotonic_ns()
    file, log = _notes() / f"{number}.toml", _notes() / f"{number}.log"
    axes = {name: values for name, values in which.to_dict().items() if values is not None}
    file.write_text("".join(f"{name} = {_toml(values)}\n" for name, values in axes.items()))
    words = ["init-bench", "run", str(file), "--out", str(out), "--device", "cpu", *options]
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_drive, args=(words, log, fault))
    process.start()
    return Driver(process, log)


@functools.cache
def _notes() -> Path:
    """Return a folder for grids and logs: on a small disk they would be in the way."""
    return Path(tempfile.mkdtemp(prefix="faults-"))


def _toml(values: list[Any]) -> str:
    return str(values).replace("True", "true").replace("False", "false")


def _drive(words: list[str], log: Path, fault: Callable[[], None]) -> None:
    from init_bench.cli.app import main

    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = words
    fault()
    main()


def finish(which: ib.Grid, out: Path, *options: str) -> str:
    """Run the same command once more, undisturbed; return what it says."""
    driver = start(which, out, *options)
    code = driver.wait()
    if code:
        raise RuntimeError(f"the last driver ended with {code}:\n{driver.said}")
    return driver.said


def stored_chunks(out: Path) -> int:
    """Return how many chunks are whole."""
    return len(list((out / CHECKSUMS).glob("[!.]*.json")))


def at_write(count: int, act: Callable[[], None]) -> Callable[[], None]:
    """Return a fault: ``act`` at the n-th moment of the writing of files."""

    def install() -> None:
        fsync, replace = acting_at_write(count, act)
        os.fsync, Path.replace = fsync, replace  # type: ignore[assignment,method-assign]

    return install


def acting_at_write(
    count: int, act: Callable[[], None]
) -> tuple[Callable[[int], None], Callable[[Path, Path], Path]]:
    """Return ``os.fsync`` and ``Path.replace`` that ``act`` at the n-th moment of writing.

    A file has three: its content is in a temporary file; that is synced and to be renamed; it is
    renamed.
    """
    left = [count]
    sync, replace = os.fsync, Path.replace

    def moment() -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    def fsync(file: int) -> None:
        moment()
        sync(file)

    def renamed(path: Path, target: Path) -> Path:
        moment()
        found = replace(path, target)
        moment()
        return found

    return fsync, renamed


def die() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def no_space() -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def in_training(act: Callable[[Any], None]) -> Callable[[], None]:
    """Return a fault: ``act`` with the cells of every stack before it is trained."""

    def install() -> None:
        from init_bench.training.engine import trainer

        trained = trainer._trained

        def disturbed(cells: Any, *rest: Any) -> Any:
            act(cells)
            return trained(cells, *rest)

        trainer._trained = disturbed  # type: ignore[assignment]

    return install


@dataclass(frozen=True)
class Judgment:
    """Count cells that are missing, stored more than once, or stored with other numbers."""

    lost: int
    twice: int
    wrong: int


def judge(out: Path, reference: Results, which: list[ib.Grid]) -> Judgment:
    """Compare the files of a folder, and what ``ib.load`` makes of them, with an undisturbed run.

    ``train_seconds`` is left out: it is a time.
    """
    keys = {cell.key for each in which for cell in each.iter_cells()}
    loaded = ib.load(out)
    in_files = pd.read_parquet(out / "cells", columns=["key"])
    twice = len(in_files) - in_files["key"].nunique() + len(loaded.cells) - len(keys)
    wrong: set[str] = set()
    for kind in KINDS:
        wrong |= _differing(getattr(loaded, kind), getattr(reference, kind), keys)
    lost = keys - set(loaded.cells["key"])
    return Judgment(len(lost), max(0, twice + len(lost)), len(wrong - lost))


def _differing(found: pd.DataFrame, wanted: pd.DataFrame, keys: set[str]) -> set[str]:
    """Return the keys whose rows are not the same in both, bit for bit."""

    def by_key(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
        rows = frame[frame["key"].isin(keys)].drop(columns=["train_seconds"], errors="ignore")
        return {str(key): own.reset_index(drop=True) for key, own in rows.groupby("key")}

    mine, theirs = by_key(found), by_key(wanted)
    return {key for key in keys if key in mine and not mine[key].equals(theirs[key])}


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[bool]:
    """Mount a disk in memory on ``folder``; yield whether this machine let us."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = not os.system(f"mount -t tmpfs -o {options} tmpfs {folder} 2>/dev/null")
    try:
        yield mounted
    finally:
        if mounted:
            os.system(f"umount -l {folder}")


def remount(folder: Path, options: str) -> None:
    """Change the options of a small disk: ``ro``, ``rw``, ``size=100m``."""
    if os.system(f"mount -o remount,{options} {folder}"):
        raise RuntimeError(f"cannot remount {folder}")
