"""Break runs in every way we can think of; count what is lost. ``python -m benchmarks.faults``

Each row of the table is a scenario. Drivers of a grid of tiny networks are killed, starved, frozen
or started side by side, or their files are damaged; then the same command runs once more,
undisturbed. The folder must hold every cell once, with the bits of a run that nothing happened to.
"""

import argparse
import functools
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import init_bench as ib
from benchmarks import fault_drivers as drivers
from benchmarks.fault_drivers import at_write, finish, grid, in_training, start
from benchmarks.interleaved_timing import save
from benchmarks.processes import wait_until
from init_bench import datasets
from init_bench.errors import InitBenchError

Row = dict[str, Any]

SMALL_DISK = "size=150k"
"""It holds some chunks, and not all."""


STOP_SECONDS = 2.0
"""A stopped driver ends within this time."""


@dataclass
class Battery:
    """Hold the folder of the whole, the undisturbed run, and the scale of the scenarios."""

    folder: Path
    reference: Any
    seeds: range
    kills: int
    random: random.Random

    def out(self, name: str) -> Path:
        """Return a new folder for a run."""
        return self.folder / name.replace(" ", "-") / "run"

    def row(self, name: str, times: int, out: Path, *which: ib.Grid, note: str = "") -> Row:
        """Return the row of a scenario that has ended."""
        found = drivers.judge(out, self.reference, list(which))
        shutil.rmtree(out, ignore_errors=True)
        return {"scenario": name, "times": times, **asdict(found), "note": note}


def killed(b: Battery) -> Iterator[Row]:
    """Kill -9 at random times, and at random moments of a write."""
    out, which = b.out("killed"), grid(b.seeds)
    for i in range(b.kills):
        if i % 2:
            driver = start(which, out, fault=at_write(b.random.randint(1, 24), drivers.die))
        else:
            driver = start(which, out)
            time.sleep(b.random.uniform(0.0, 1.5))
            driver.kill()
        code = driver.wait()
        if code != -signal.SIGKILL:
            raise RuntimeError(f"the grid is too small: driver {i} ended by itself:\n{driver.said}")
    whole = drivers.stored_chunks(out)
    finish(which, out)
    yield b.row("kill -9", b.kills, out, which, note=f"{whole} chunks survived the last kill")


def stopped(b: Battery) -> Iterator[Row]:
    """Ctrl-C and SIGTERM, between two steps and while a worker does one long one."""
    for sent in (signal.SIGINT, signal.SIGTERM):
        for busy in (False, True):
            name = f"{sent.name}{', worker in a long step' if busy else ''}"
            out, which = b.out(name), grid(b.seeds)
            driver = start(which, out, fault=in_training(_sleep_later(out)) if busy else _nothing)
            wait_until(functools.partial(_has_stored, out, 2))
            driver.send(sent)
            sent_at = time.monotonic()
            code = driver.wait()
            seconds = time.monotonic() - sent_at
            told = "Resume with:\n  init-bench run" in driver.said
            finish(which, out)
            if code != 1 or not told or seconds > STOP_SECONDS:
                note = f"FAILED: exit {code} after {seconds:.1f} s, says how to go on: {told}"
            else:
                note = f"exit 1 after {seconds:.1f} s, with the command to go on"
            yield b.row(name, 1, out, which, note=note)


def _has_stored(out: Path, chunks: int) -> bool:
    return drivers.stored_chunks(out) >= chunks


def _nothing() -> None: ...


def _sleep_later(out: Path) -> Callable[[Any], None]:
    """Return what lets a worker sleep once two chunks are stored."""
    return lambda cells: time.sleep(30) if drivers.stored_chunks(out) > 1 else None


def damaged(b: Battery) -> Iterator[Row]:
    """Files cut short, and files with a flipped bit, of every kind."""
    out, which = b.out("damaged"), grid(b.seeds[:10])
    finish(which, out)
    for how in (_truncate, _flip_bit):
        told = times = 0
        for kind in ("curves", "layers", "cells", "checksums"):
            path = b.random.choice(sorted((out / kind).glob("[!.]*.*")))
            how(path, b.random)
            told += _named(out, path.stem)
            times += 1
            finish(which, out)
        note = f"ib.load named {told} of {times}, run trained them again"
        found = drivers.judge(out, b.reference, [which])
        yield {"scenario": how.__doc__, "times": times, **asdict(found), "note": note}
    path = out / "manifest.json"
    path.write_bytes(path.read_bytes()[:40])
    finish(which, out)
    yield b.row("manifest cut short", 1, out, which, note="written again")


def _truncate(path: Path, source: random.Random) -> None:
    """file cut short"""
    content = path.read_bytes()
    path.write_bytes(content[: source.randrange(len(content))])


def _flip_bit(path: Path, source: random.Random) -> None:
    """flipped bit"""
    content = bytearray(path.read_bytes())
    content[source.randrange(len(content))] ^= 1 << source.randrange(8)
    path.write_bytes(content)


def _named(out: Path, name: str) -> bool:
    """Return whether ``ib.load`` refuses the folder and names the chunk."""
    try:
        ib.load(out)
    except InitBenchError as error:
        return name in str(error)
    return False


def read_only(b: Battery) -> Iterator[Row]:
    """A folder of tables that turns read-only meanwhile, and a disk that is so from the start."""
    place, which = b.folder / "read-only", grid(b.seeds[:20])
    with drivers.small_disk(place, "size=200m") as mounted:
        if not mounted:
            yield _skipped("read-only folder", "no disk can be mounted here")
            return
        out = place / "run"
        driver = start(which, out, fault=in_training(lambda cells: time.sleep(0.2)))
        wait_until(functools.partial(_has_stored, out, 1))
        with drivers.small_disk(out / "layers", "ro"):
            driver.wait()
        drivers.remount(place, "ro")
        refused = start(which, out)
        refused.wait()
        drivers.remount(place, "rw")
        yield _after_error(b, "folder turns read-only", driver, out, which)
        yield _after_error(b, "folder is read-only", refused, out, which)


def _after_error(b: Battery, name: str, driver: drivers.Driver, out: Path, which: ib.Grid) -> Row:
    """Run the command once more; the row says how the driver ended."""
    finish(which, out)
    note = f"exit {driver.wait()}: {_line(driver.said, 'error')}"
    return b.row(name, 1, out, which, note=note)


def full_disk(b: Battery) -> Iterator[Row]:
    """A disk that is full, and a write that finds no space, one moment after another."""
    which = grid(b.seeds[:20])
    place = b.folder / "full"
    with drivers.small_disk(place, SMALL_DISK) as mounted:
        if mounted:
            out = place / "run"
            driver = start(which, out)
            driver.wait()
            drivers.remount(place, "size=200m")
            yield _after_error(b, "full disk of 150 kB", driver, out, which)
        else:
            yield _skipped("full disk of 150 kB", "no disk can be mounted here")
    out, which = b.out("no space"), grid(b.seeds[:10])
    moments = range(1, 25, 1 if b.kills >= 20 else 5)
    told, found = 0, []
    for moment in moments:
        driver = start(which, out, fault=at_write(moment, drivers.no_space))
        told += driver.wait() == 1 and "No space left on device" in driver.said
        finish(which, out)
        found.append(drivers.judge(out, b.reference, [which]))
        shutil.rmtree(out)
    counts = {name: sum(getattr(each, name) for each in found) for name in asdict(found[0])}
    note = f"exit 1 and said so at {told} of {len(moments)} moments"
    name = "no space for a write, one after another"
    yield {"scenario": name, "times": len(moments), **counts, "note": note}


def together(b: Battery) -> Iterator[Row]:
    """Two and four drivers at once, on equal and on overlapping grids."""
    half = len(b.seeds) // 4
    for count in (2, 4):
        for name, step in (("equal", 0), ("overlapping", half // 2)):
            out = b.out(f"{count} {name}")
            which = [grid(b.seeds[i * step : i * step + half]) for i in range(count)]
            started = [start(each, out, "--workers", "1") for each in which]
            codes = [driver.wait() for driver in started]
            note = "" if not any(codes) else f"FAILED: exit codes {codes}"
            yield b.row(f"{count} drivers, {name} grids", count, out, *which, note=note)


def frozen(b: Battery) -> Iterator[Row]:
    """A driver that stands still until another has taken its cells over, and then goes on."""
    out, which = b.out("frozen"), grid(b.seeds[:20])

    def short_lease() -> None:
        from init_bench.training import folder_locks

        folder_locks.LEASE_SECONDS = 3.0  # both drivers: they must agree

    first = start(which, out, "--workers", "1", fault=short_lease)
    wait_until(lambda: drivers.stored_chunks(out) > 0)
    first.send(signal.SIGSTOP)
    time.sleep(4.0)
    second = start(which, out, "--workers", "1", fault=short_lease)
    time.sleep(4.0)
    first.send(signal.SIGCONT)
    codes = [first.wait(), second.wait()]
    note = "" if codes == [0, 0] else f"FAILED: exit codes {codes}"
    yield b.row("driver frozen beyond its lease", 1, out, which, note=note)


def failing_workers(b: Battery) -> Iterator[Row]:
    """A worker that raises, and one that is out of memory."""
    faults: dict[str, Callable[[Any], Any]] = {
        "worker raises": lambda cells: 1 / 0 if cells[0].seed == 0 else None,
        "worker out of memory": lambda cells: (
            torch.empty(2**46).fill_(1) if cells[0].seed == 0 else None
        ),
    }
    for name, act in faults.items():
        out, which = b.out(name), grid(b.seeds[:20])
        driver = start(which, out, fault=in_training(act))
        yield _after_failure(b, name, driver, out, which)


def hanging_worker(b: Battery) -> Iterator[Row]:
    """A worker that hangs longer than a chunk may take."""
    name = "worker hangs past --chunk-timeout"
    out, which = b.out("hangs"), grid(b.seeds[:20])

    def hang(cells: Any) -> None:
        if cells[0].seed == 0:
            time.sleep(3600)

    option = _timeout_option()
    if not option:
        yield _skipped(name, "this version has no --chunk-timeout")
        return
    driver = start(which, out, *option, fault=in_training(hang))
    yield _after_failure(b, name, driver, out, which)


def _timeout_option() -> tuple[str, ...]:
    """Return how this version is told that a chunk may take 10 s; empty if it cannot be."""
    from typer.testing import CliRunner

    from init_bench.cli.app import app

    said = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
    if "--chunk-timeout" in said:
        return ("--chunk-timeout", "10")
    return ("--executor-option", "chunk_timeout=10") if "--executor-option" in said else ()


def _after_failure(b: Battery, name: str, driver: drivers.Driver, out: Path, which: ib.Grid) -> Row:
    code = driver.wait()
    failures = len(list((out / "failures").glob("*.json")))
    others = len(ib.load(out).cells)
    finish(which, out)
    ok = code == 1 and failures and others and "resume with" in driver.said
    note = f"exit {code}, {failures} failures noted, {others} cells stored"
    note = note if ok else f"FAILED: {note}"
    return b.row(name, 1, out, which, note=note)


def _skipped(name: str, reason: str) -> Row:
    return {"scenario": name, "times": 0, "note": f"skipped: {reason}"}


def _line(said: str, word: str) -> str:
    """Return the first line with a word."""
    return next((line for line in said.splitlines() if word in line), "says nothing")[:160]


SCENARIOS: tuple[Callable[[Battery], Iterator[Row]], ...] = (
    killed,
    stopped,
    damaged,
    read_only,
    full_disk,
    together,
    frozen,
    failing_workers,
    hanging_worker,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer kills, smaller grids")
    parser.add_argument("--only", action="append", help="a scenario, by the name of its function")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    given = parser.parse_args()
    torch.set_num_threads(1)
    datasets.load("mnist")  # once, before the drivers are forked
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(40 if given.quick else 160)
        whole = Path(folder) / "undisturbed" / "run"
        finish(grid(seeds), whole)
        kills = 6 if given.quick else 20
        battery = Battery(Path(folder), ib.load(whole), seeds, kills, random.Random(given.seed))
        rows = []
        for scenario in SCENARIOS:
            if not given.only or scenario.__name__ in given.only:
                for row in scenario(battery):
                    print(row, flush=True)
                    rows.append(row)
                    if not (given.quick or given.only):  # what is done so far
                        write(pd.DataFrame(rows))
    print(total(pd.DataFrame(rows)))


def total(table: pd.DataFrame) -> str:
    """Return the sums of the whole table."""
    lost, twice, wrong = table[["lost", "twice", "wrong"]].sum().astype(int)
    return f"lost {lost}, stored twice {twice}, wrong {wrong}"


def write(table: pd.DataFrame) -> None:
    """Keep the table as CSV and as Markdown."""
    counts = table[["lost", "twice", "wrong"]].astype("Int64")
    path = save(table.assign(**counts), "faults")
    text = f"`python -m benchmarks.faults`: {total(table)}\n\n{_markdown(table.assign(**counts))}"
    path.with_suffix(".md").write_text(text)


def _markdown(table: pd.DataFrame) -> str:
    heads = ["scenario", "times", "lost", "stored twice", "wrong", "what happened"]
    cells = table.astype(object).where(table.notna(), "").astype(str).to_numpy().tolist()
    rows = [heads, ["---"] * len(heads), *cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()
