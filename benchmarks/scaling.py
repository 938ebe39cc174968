"""Measure time and memory against the number of cells. ``python -m benchmarks.scaling``"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks import peers
from benchmarks.interleaved_timing import save

COUNTS = (30, 100, 300, 1000)


def measure(count: int, steps: int) -> dict[str, float]:
    """Train ``count`` cells, 30 per seed, through the engine; return time and memory.

    Memory is the peak resident size of the training over what torch, data and one trained cell
    hold (Linux alone).
    """
    from functools import partial

    import torch

    from init_bench.training.chunks import chunks
    from init_bench.training.engine.trainer import train_chunk
    from init_bench.training.executors import Resources, Work, local
    from init_bench.training.grid import Grid
    from init_bench.training.intra_op import one_thread

    data, cpu, workers = peers.mnist("cpu"), torch.device("cpu"), os.cpu_count() or 1
    rates = [0.01 * (1 + i / 1000) for i in range(30)]

    def train(number: int) -> float:
        grid = Grid(lr=rates, seed=range(-(-number // 30)), steps=steps, capture_at=[steps + 1])
        cells = sorted(grid.cells, key=lambda cell: cell.seed)[:number]
        parts = chunks(cells, workers)
        work = Work(
            chunks=parts,
            train=partial(_train, train_chunk, data, cpu),
            progress=lambda steps: None,
            workers=workers,
            resources=Resources(device="cpu", workers=workers, options={}),
        )
        with one_thread():
            results = [outcome for _, outcome in local(work)]
        cells_done = [cell for chunk in results for cell in chunk]  # type: ignore[union-attr]
        return sum(result.train_seconds for result in cells_done) / workers

    train(1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _kilobytes("VmRSS")
    seconds = train(count)
    after = _kilobytes("VmHWM")
    return {
        "cells": count,
        "us_per_model_step": seconds / steps / count * 1e6,
        "megabytes": (after - before) / 1024,
    }


def _kilobytes(field: str) -> int:
    line = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert line is not None
    return int(line[1])


def _train(train_chunk, data, device, chunk, tick):  # type: ignore[no-untyped-def]
    return train_chunk(chunk, data, device, tick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--one", type=int, help="measure this number of cells only and print JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.steps)))
        return
    rows = []
    for repeat in range(given.repeats):
        for count in COUNTS:
            command = [sys.executable, "-m", "benchmarks.scaling", "--one", str(count)]
            said = subprocess.check_output([*command, "--steps", str(given.steps)], text=True)
            rows.append({"repeat": repeat, **json.loads(said)})
    frame = pd.DataFrame(rows)
    median = frame.groupby("cells")[["us_per_model_step", "megabytes"]].median()
    against = median["us_per_model_step"] / median["us_per_model_step"].iloc[0]
    print(median.assign(against_30=against).round(2).to_string())
    print(save(frame, "scaling"))


if __name__ == "__main__":
    main()
