"""Kill workers, nodes and jobs of clusters on this machine. ``python -m benchmarks.clusters``

A grid of 200 cells is trained by ``serial``, on a Ray cluster of a head and two nodes, and in jobs
of submitit's local cluster. Meanwhile a worker is killed in the middle of a task, a node with all
its processes, and a job; a node is added. Then the stored rows are counted and compared with those
of ``serial``. Needs Linux and the extras ``ray`` and ``slurm``.
"""

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

import init_bench as ib
from benchmarks.fault_drivers import stored_chunks
from benchmarks.interleaved_timing import save
from benchmarks.processes import descendants, kill, wait_until

CELLS = 200
DRIVER = "INIT_BENCH_BENCHMARK_DRIVER"
MEMORY = 80 * 2**20
"""Of each node's object store: results are small."""


def grid(steps: int) -> ib.Grid:
    """Return the grid of 200 cells: twenty chunks."""
    inits = ["he_normal", "lecun_normal", "glorot_normal", "normal(std=0.01)"]
    return ib.Grid(init=inits, lr=[0.01, 0.1], seed=range(CELLS // 8), steps=steps)


def stuck(features: int, classes: int) -> nn.Module:
    """Return a network; in a worker, never."""
    while os.environ.get(DRIVER, str(os.getpid())) != str(os.getpid()):
        time.sleep(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def on_one_thread(cells: ib.Grid, out: Path) -> tuple[ib.Results, str]:
    """Train one chunk after another, undisturbed: what the others are compared with."""
    return ib.run(cells, out, device="cpu", executor="serial"), "none"


def on_ray(cells: ib.Grid, out: Path) -> tuple[ib.Results, str]:
    """Train on a head and two nodes; kill a worker and a node, add a node."""
    with ray_cluster() as cluster:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]

        def faults() -> str:
            kill(busy(raylets[0], "ray::_train"))
            wait_until(lambda: stored_chunks(out) >= 3)
            busy(raylets[1], "ray::_train")
            kill(raylets[1], *descendants(raylets[1]))
            wait_until(lambda: stored_chunks(out) >= 5)
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            return "a worker killed, a node killed, a node added"

        return driven(cells, out, faults, executor="ray", options={"address": cluster.address})


def on_ray_with_a_stuck_cell(cells: ib.Grid, out: Path) -> tuple[ib.Results, str]:
    """Train a chunk that hangs among others; the time limit stops it."""
    hangs = ib.Grid(model="benchmarks.clusters:stuck", steps=1)
    with ray_cluster() as cluster:
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        options = {"address": cluster.address, "chunk_timeout": 60}
        said = "a chunk that hangs, past --chunk-timeout"
        return driven([hangs, cells], out, lambda: said, executor="ray", options=options)


def in_jobs(cells: ib.Grid, out: Path) -> tuple[ib.Results, str]:
    """Train in four jobs of submitit's local cluster, two at once; kill one."""

    def faults() -> str:
        wait_until(lambda: stored_chunks(out) >= 3)
        kill(busy(os.getpid(), "submitit.core._submit"))
        return "a job killed"

    options = {"cluster": "local", "jobs": 4}
    return driven(cells, out, faults, executor="slurm", options=options, workers=2)


RUNS: dict[str, Callable[[ib.Grid, Path], tuple[ib.Results, str]]] = {
    "serial": on_one_thread,
    "ray": on_ray,
    "slurm, local": in_jobs,
    "ray, one node": on_ray_with_a_stuck_cell,
}
"""How the grid is trained; the first one is what the others are compared with."""


@contextlib.contextmanager
def ray_cluster() -> Iterator[Any]:
    """Start a head that takes no tasks."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def driven(
    cells: ib.Grid | list[ib.Grid],
    out: Path,
    faults: Callable[[], str],
    *,
    executor: str,
    options: dict[str, Any],
    workers: int | None = None,
) -> tuple[ib.Results, str]:
    """Run the grid while faults happen; return its results and what has happened."""
    found: list[ib.Results] = []
    how: dict[str, Any] = {"executor": executor, "executor_options": options, "workers": workers}
    driver = threading.Thread(target=lambda: found.append(ib.run(cells, out, device="cpu", **how)))
    driver.start()
    said = faults()  # here: Ray adds nodes in the main thread alone
    driver.join()
    return found[0], said


def busy(pid: int, command: str) -> int:
    """Return a process below ``pid`` that runs ``command``, once there is one."""
    found: list[int] = []

    def there() -> bool:
        for child in descendants(pid):
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.extend([child] * (command in line))
        return bool(found)

    wait_until(there)
    time.sleep(0.5)  # it is in the middle of its work
    return found[0]


def counted(out: Path, serial: Path, wanted: set[str]) -> dict[str, int]:
    """Compare the rows in two folders: lost, stored twice, different."""
    stored, right = ib.load(out), ib.load(serial)
    keys = pd.read_parquet(out / "cells")["key"]
    differing = 0
    for table, by in (("cells", []), ("curves", ["step"]), ("layers", ["step", "kind", "index"])):
        frames = [getattr(each, table) for each in (stored, right)]
        mine = [frame[frame["key"].isin(wanted)] for frame in frames]
        a, b = (frame.set_index(["key", *by]).sort_index() for frame in mine)
        a, b = (each.drop(columns="train_seconds", errors="ignore") for each in (a, b))
        same = (
            (a == b) | (a.isna() & b.isna()) if a.index.equals(b.index) else pd.DataFrame([False])
        )
        differing += int((~same.all(axis=1)).sum())
    return {
        "lost": len(wanted - set(keys)),
        "twice": int(keys.duplicated().sum()),
        "differing rows": differing,
    }


def page(table: pd.DataFrame) -> str:
    """Return the table as Markdown."""
    lines = ["`python -m benchmarks.clusters`", "", "| " + " | ".join(table.columns) + " |"]
    lines.append("|" + "---|" * len(table.columns))
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    steps = parser.parse_args().steps
    os.environ |= {DRIVER: str(os.getpid()), "RAY_USAGE_STATS_ENABLED": "0"}
    cells = grid(steps)
    wanted, folder = {cell.key for cell in cells.cells}, Path(tempfile.mkdtemp())
    rows: list[dict[str, Any]] = []
    for engine, train in RUNS.items():
        started = time.perf_counter()
        results, faults = train(cells, folder / engine)
        seconds = round(time.perf_counter() - started)
        row = {"engine": engine, "faults": faults, "cells": len(wanted)}
        row |= counted(folder / engine, folder / "serial", wanted)
        rows.append({**row, "failures": len(results.failures), "seconds": seconds})
        table = pd.DataFrame(rows)
        save(table, "clusters").with_suffix(".md").write_text(page(table), "utf-8")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
