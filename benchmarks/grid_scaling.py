"""Measure grids of up to 100,000 cells. ``python -m benchmarks.grid_scaling``

Time per cell, memory of the driver, the share of store and scheduling, and how fast a large folder
is resumed and read. Every measurement runs in a process of its own. ``--quick`` takes minutes.
"""

import argparse
import functools
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.interleaved_timing import save

TINY: dict[str, Any] = {"width": 4, "depth": 2, "batch_size": 16, "steps": 3}
BARE: dict[str, Any] = {**TINY, "dataset": "mnist_short_test", "capture_at": []}
"""A tiny network tested on 1,000 images instead of 10,000, its layers not captured."""

CURVE_STEPS = 200


Row = dict[str, Any]


def tiny_cells(count: int, folder: Path, axes: dict[str, Any] = TINY) -> Row:
    """Train a grid of tiny networks; return time per cell and the driver's memory.

    ``cpu_ms_per_cell`` is processor time: it does not grow with what else the machine does.
    """
    import init_bench as ib

    ib.run(ib.Grid(seed=range(20), **axes), folder / "warm", device="cpu", progress=False)
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started, cpu = time.perf_counter(), time.process_time()
    results = ib.run(
        ib.Grid(seed=range(count), **axes), folder / "run", device="cpu", progress=False
    )
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    assert len(results.cells) == count
    return {
        "ms_per_cell": seconds / count * 1e3,
        "cpu_ms_per_cell": cpu_seconds / count * 1e3,
        **_tenths(folder / "run", count),
        "driver_megabytes": _kilobytes("VmHWM") / 1024,
        "grown_megabytes": (_kilobytes("VmHWM") - before) / 1024,
    }


def _tenths(run: Path, count: int) -> Row:
    """Return the time per cell of the first and the last tenth of a run, from when files were made.

    Both are of one run: from one run to the next the machine drifts by more.
    """
    made = sorted(path.stat().st_mtime for path in (run / "checksums").glob("*.json"))
    tenth = len(made) // 10
    cells = count * tenth / len(made)
    ends = {"first": made[tenth] - made[0], "last": made[-1] - made[-1 - tenth]}
    return {f"ms_per_cell_{name}_tenth": took / cells * 1e3 for name, took in ends.items()}


def bare_cells(count: int, folder: Path) -> Row:
    """Do the same with cells whose test and captures take next to nothing."""
    return tiny_cells(count, folder, BARE)


def book_cells(count: int, folder: Path) -> Row:
    """Train cells of the book's size; return the share of time that is not training.

    The rest is: make the grid, cut and schedule chunks, build tables, write, sync and hash files.
    """
    import init_bench as ib
    from init_bench.training.engine import trainer

    spent, trained = 0.0, trainer._trained

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        started = time.process_time()
        found = trained(*arguments)
        spent += time.process_time() - started
        return found

    ib.run(ib.Grid(seed=range(2), steps=2), folder / "warm", device="cpu", progress=False)
    trainer._trained = timed  # type: ignore[assignment]
    grid = ib.Grid(init=["he_normal", "normal(std=0.01)"], seed=range(count // 2))
    started = time.process_time()
    ib.run(grid, folder / "run", device="cpu", executor="serial", progress=False)
    return {"share_percent": 100 * (time.process_time() - started - spent) / spent}


def large_folder(count: int, folder: Path) -> Row:
    """Fill a folder with made-up curves; time the resume of its grid, and reading."""
    import init_bench as ib

    grid = ib.Grid(seed=range(count), **{**TINY, "steps": CURVE_STEPS})
    written = _timed("write", lambda: _fill(grid, folder))
    said = subprocess.check_output(
        [sys.executable, "-m", "benchmarks.grid_scaling", "--read", str(folder), str(count)],
        text=True,
    )
    return {**written, **json.loads(said.splitlines()[-1])}


def read(folder: Path, count: int) -> Row:
    """Time the resume of a stored grid and the reading of its curves, in a fresh process."""
    import init_bench as ib
    from init_bench.training.compaction import compact

    grid = ib.Grid(seed=range(count), **{**TINY, "steps": CURVE_STEPS})
    ib.datasets.load("mnist")
    few = range(0, count, max(1, count // 100))
    rows: list[int] = []
    found = _timed("resume", lambda: ib.run(grid, folder, device="cpu", progress=False))
    for name in ("", "compacted_"):
        found |= _timed(f"{name}load", lambda: ib.load(folder))
        results = ib.load(folder)
        for part, work in _reads(results, few, rows).items():
            found |= _timed(f"{name}{part}", work)
        if not name:
            found |= _timed("compact", lambda: compact(folder))
    assert rows == 2 * [len(few) * CURVE_STEPS, count * CURVE_STEPS]
    return found


def _reads(results: Any, few: range, rows: list[int]) -> dict[str, Callable[[], None]]:
    """Return the reading of a hundred curves and of all, which note the number of rows."""
    return {
        "filtered": lambda: rows.append(results.scan(seed=few).to_table().num_rows),
        "all_curves": lambda: rows.append(len(results.curves)),
    }


def executors(count: int, folder: Path) -> Row:
    """Train the same grid with two workers on each executor of this version that needs no site."""
    import init_bench as ib
    from init_bench.training.executors import EXECUTORS

    found: Row = {}
    for name in [name for name in ("local", "ray") if name in EXECUTORS]:
        grid = ib.Grid(seed=range(count), steps=500)
        options: Any = {"device": "cpu", "executor": name, "workers": 2, "progress": False}
        try:
            warm = ib.Grid(seed=range(2), steps=2)
            ib.run(warm, folder / f"warm-{name}", **options)
            run = _timed("run", functools.partial(ib.run, grid, folder / name, **options))
        except ib.InitBenchError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        found[f"{name}_ms_per_cell"] = run["run_seconds"] / count * 1e3
    return found


def _fill(grid: Any, folder: Path) -> None:
    """Store made-up results of a grid as a run would."""
    import torch

    from init_bench import datasets
    from init_bench.training.chunks import chunks
    from init_bench.training.manifest import manifest
    from init_bench.training.store import Store

    store = Store(folder)
    sums = {"mnist": datasets.load("mnist").sha256}
    store.open(manifest([grid], torch.device("cpu"), sums))
    for chunk in chunks(grid.iter_cells()):
        store.write([_made_up(cell) for cell in chunk])


def _made_up(cell: Any) -> Any:
    from init_bench.hooks.record import COLUMNS
    from init_bench.training.tables import CellResult

    row = {**dict.fromkeys(COLUMNS, 1.5), "layer": "fc1", "index": 1, "kind": "weight"}
    return CellResult(
        cell=cell,
        status="ok",
        losses=np.random.default_rng(cell.seed).random(cell.steps, dtype=np.float32),
        test_accuracy=0.1,
        train_seconds=0.1,
        device="cpu",
        layers=[{**row, "step": step} for step in (0, cell.steps) for _ in range(8)],
    )


def _timed(name: str, work: Callable[[], object]) -> Row:
    """Time some work on the clock, and in processor time, which other work does not lengthen."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return {f"{name}_seconds": seconds, f"{name}_cpu_seconds": cpu_seconds}


def _kilobytes(field: str) -> int:
    line = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line[1]) if line else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


PARTS: dict[str, Callable[[int, Path], Row]] = {
    "tiny_cells": tiny_cells,
    "bare_cells": bare_cells,
    "book_cells": book_cells,
    "large_folder": large_folder,
    "executors": executors,
}


def measured(part: str, count: int) -> Iterator[Row]:
    """Yield the measurements of one part, made in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "benchmarks.grid_scaling", "--one", part, str(count), folder]
        said = subprocess.check_output(words, text=True)
    for what, value in json.loads(said.splitlines()[-1]).items():
        row = {"part": part, "cells": count, "what": what, "value": value}
        print(f"{part:14} {count:>7} cells  {what:30} {value:.4g}", flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cells; nothing is written")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        part, count, folder = given.one
        print(json.dumps(PARTS[part](int(count), Path(folder))))
        return
    if given.read:
        print(json.dumps(read(Path(given.read[0]), int(given.read[1]))))
        return
    counts: dict[str, Sequence[int]] = {
        "tiny_cells": (100, 300) if given.quick else (1000, 10_000),
        "bare_cells": (100, 300, 1000) if given.quick else (1000, 10_000, 100_000),
        "book_cells": (4,) if given.quick else (40,),
        "large_folder": (1000,) if given.quick else (10_000,),
        "executors": (20,) if given.quick else (300,),
    }
    parts = given.only or list(PARTS)
    rows = [row for part in parts for count in counts[part] for row in measured(part, count)]
    verdict(pd.DataFrame(rows))
    if not (given.quick or given.only):
        print(save(pd.DataFrame(rows), "grid_scaling"))


GRIDS, MEASURES = (
    ("tiny_cells", "bare_cells"),
    ("ms_per_cell", "cpu_ms_per_cell", "driver_megabytes"),
)
"""Parts and measures that are compared over the size of the grid."""

TARGETS = {
    "share_percent": 5.0,
    "resume_seconds": 5.0,
    "filtered_seconds": 1.0,
    "all_curves_seconds": 10.0,
}
"""Upper limits for a folder of 10,000 cells, and for cells of the book's size."""


def verdict(table: pd.DataFrame) -> None:
    """Print what is asked for beside what was measured."""
    value = table.set_index(["part", "what", "cells"])["value"].sort_index()
    for what, most in TARGETS.items():
        for found in table.loc[table["what"] == what, "value"]:
            print(f"{what}: {found:.3g}, asked for below {most:g}: {found < most}")
    for part, what in itertools.product(GRIDS, MEASURES):
        if (part, what) in value:
            series = value[part, what]
            ratio = series.iloc[-1] / series.iloc[0]
            ends = f"{series.index[-1]} cells / {series.index[0]} cells"
            print(f"{part} {what}: {ends}: {ratio:.3f}, asked for below 1.1: {ratio < 1.1}")
    wide = table.pivot(index=["part", "cells"], columns="what", values="value")
    if "ms_per_cell_last_tenth" in wide:
        drift = wide["ms_per_cell_last_tenth"] / wide["ms_per_cell_first_tenth"]
        for row in drift.dropna().reset_index(name="ratio").to_dict("records"):
            print(f"{row['part']} of {row['cells']}: last tenth / first: {row['ratio']:.3f}")
    if {"local_ms_per_cell", "ray_ms_per_cell"} <= {*table["what"]}:
        both = value["executors"]
        speed = float(both["local_ms_per_cell"].iloc[0] / both["ray_ms_per_cell"].iloc[0])
        print(f"ray / local, two workers: {speed:.2f}, asked for at least 0.9: {speed >= 0.9}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
