"""Run a grid: skip the cells that are stored, train the others, store each chunk."""

import itertools
import logging
import os
import queue
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from init_bench import datasets
from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError, lookup
from init_bench.training.cell import Cell
from init_bench.training.chunks import CHUNK_CELLS, chunks
from init_bench.training.claims import Claims, holder
from init_bench.training.device_memory import cells_that_fit
from init_bench.training.devices import devices_of, resolve_device
from init_bench.training.engine.trainer import train_chunk
from init_bench.training.executors import EXECUTORS, ChunkOutcome, Executor, TrainChunk
from init_bench.training.grid import Grid
from init_bench.training.manifest import manifest
from init_bench.training.networks import check
from init_bench.training.precision import check_precision, float32_products
from init_bench.training.progress import Progress, ProgressCallback
from init_bench.training.results import Results, results_of
from init_bench.training.shards import cells_of_shard, check_shard
from init_bench.training.store import Store
from init_bench.training.tables import CellResult

log = logging.getLogger(__name__)


POLL_SECONDS = 1.0
"""Time between two looks at what other drivers have stored."""


def run(
    grid: Grid | Sequence[Grid],
    out: str | Path,
    *,
    device: str = "auto",
    executor: str = "local",
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = True,
) -> Results:
    """Train every cell of ``grid`` that ``out`` does not hold yet; return the grid's results.

    Each chunk is stored as soon as it is trained. After Ctrl-C or a failure the same call
    continues from there. Damaged chunks are moved to ``out/damaged`` and trained again. The same
    grid on the same device gives the same bits in every column but ``train_seconds``, whatever
    ``executor`` and ``workers`` are.

    Args:
        grid: what to train; several grids share the folder and the work.
        out: folder of the run, made if it is not there.
        device: ``auto``, ``cpu``, ``cuda`` (all of them), ``cuda:1`` (that one), ``mps`` …
        executor: ``local`` (worker threads) or ``serial``.
        workers: worker threads; ``None`` is one per core on the CPU, one per accelerator.
        shard: ``(i, n)`` trains and returns the i-th of n shares of the cells, counted from 1: n
            calls anywhere, on one folder, train the grid, and no two of them the same cell.
        progress: show a bar on a terminal and log lines elsewhere.

    Raises:
        InitBenchError: a bad device, executor, shard or folder, before any work starts.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> results = run(Grid(init="he_normal", steps=2), folder, device="cpu", progress=False)
        >>> results.cells["status"].tolist(), len(results.curves)
        (['ok'], 2)
    """
    grids = [grid] if isinstance(grid, Grid) else list(grid)
    cells = cells_of(grids, shard)
    store = Store(Path(out))
    trainer = trainer_of(cells.values(), device=device, executor=executor, workers=workers)
    sums = {name: data.sha256 for name, data in trainer.data[trainer.first].items()}
    store.open(manifest(grids, resolve_device(device), sums))
    for path in store.set_aside_damaged():
        log.warning("%s is damaged: moved to %s, trained again", path, store.folder / "damaged")
    _say_stored(cells, store, logged=progress)
    failures = _train_missing(cells, trainer, store, shown=progress)
    return results_of(store).of_cells(set(cells), failures)


def cells_of(grids: Iterable[Grid], shard: tuple[int, int] | None) -> dict[str, Cell]:
    """Return the cells of several grids, or of one shard of them, by key.

    Raises:
        InitBenchError: a bad shard.
    """
    cells = {cell.key: cell for grid in grids for cell in grid.iter_cells()}
    if shard is None:
        return cells
    return {cell.key: cell for cell in cells_of_shard(list(cells.values()), check_shard(shard))}


def trainer_of(
    cells: Collection[Cell], *, device: str, executor: str, workers: int | None
) -> "Trainer":
    """Return what trains these cells, after a look at the options, data and networks.

    Raises:
        InitBenchError: a bad device, executor or number of workers; a network that does not fit.
    """
    target, devices = resolve_device(device), devices_of(device)
    for precision in dict.fromkeys(cell.precision for cell in cells):
        check_precision(precision, target)
    chosen = lookup(EXECUTORS, executor, kind="executor")
    threads = _worker_threads(workers, devices)
    names = dict.fromkeys(cell.dataset for cell in cells)
    data = {name: datasets.load(name).to(target) for name in names}
    _check_networks(cells, data)
    return Trainer(data, devices, chosen, threads)


def _worker_threads(workers: int | None, devices: Sequence[torch.device]) -> int:
    """Return the number of workers: as asked, else one per core, or one per accelerator."""
    if workers is not None and workers < 1:
        raise InitBenchError(f"workers must be at least 1, got {workers}")
    on_cpu = devices[0].type == "cpu"
    return workers or (os.cpu_count() or 1 if on_cpu else len(devices))


def _check_networks(cells: Iterable[Cell], data: Mapping[str, Dataset]) -> None:
    """Check one cell of each model, data set and initializer."""
    for cell in {(cell.cohort, cell.init): cell for cell in cells}.values():
        check(cell, data[cell.dataset])


def _say_stored(cells: Mapping[str, Cell], store: Store, *, logged: bool) -> None:
    stored = len(cells.keys() & store.done())
    if logged and stored:
        log.info("%d of %d cells are stored in %s already", stored, len(cells), store.folder)


def _train_missing(
    cells: Mapping[str, Cell], trainer: "Trainer", store: Store, *, shown: bool
) -> tuple[Path, ...]:
    """Train what is not stored and no other driver trains, then wait for the others.

    The cells of a driver that ends without them are taken over.
    """
    failures: list[Path] = []
    tried: set[str] = set()
    missing = cells.keys() - store.done()
    if not missing:
        return ()
    with Claims(store.folder) as claims:
        while missing := missing - tried - store.done():
            with store.locked():
                free = claims.take(missing - store.done())
            mine = [cell for key, cell in cells.items() if key in free]
            failures += _train_and_store(mine, trainer, store, shown=shown)
            tried |= free
            if not free:
                _wait(claims, shown=shown)
    return tuple(failures)


def _wait(claims: Claims, *, shown: bool) -> None:
    """Wait a moment for other drivers."""
    others = claims.others()
    if shown and others and not claims.waiting:
        log.info("the other cells are being trained by %s", " and ".join(map(holder, others)))
    claims.waiting = True
    time.sleep(POLL_SECONDS)


def _train_and_store(
    cells: Sequence[Cell], trainer: "Trainer", store: Store, *, shown: bool
) -> tuple[Path, ...]:
    """Train the cells and store each chunk when it is done; return the files about failures."""
    progress = Progress(len(cells), sum(cell.steps for cell in cells), shown=shown and bool(cells))
    failures = []
    try:
        for chunk, outcome in trainer.outcomes(cells, progress.step):
            if isinstance(outcome, Exception):
                failures.append(store.write_failure(chunk, outcome))
            else:
                store.write(outcome)
                progress.finish(len(chunk))
    finally:
        progress.close()
    return tuple(failures)


class Trainer:
    """Train chunks with an executor, each on a device that is free."""

    def __init__(
        self,
        data: Mapping[str, Dataset],
        devices: Sequence[torch.device],
        executor: Executor,
        workers: int,
    ) -> None:
        self.executor, self.workers, self.first = executor, workers, devices[0]
        self.data = {
            device: {name: each.to(device) for name, each in data.items()} for device in devices
        }
        self.free: queue.SimpleQueue[torch.device] = queue.SimpleQueue()
        for device in itertools.islice(itertools.cycle(devices), max(workers, len(devices))):
            self.free.put(device)

    def outcomes(self, cells: Sequence[Cell], progress: ProgressCallback) -> Iterator[ChunkOutcome]:
        """Yield each chunk with its results, the chunks of one precision after another."""
        for precision in dict.fromkeys(cell.precision for cell in cells):
            parts = self.chunks([cell for cell in cells if cell.precision == precision])
            with float32_products(precision, self.first):
                yield from _outcomes(self.executor, parts, self.train, progress, self.workers)

    @property
    def at_once(self) -> int:
        """Chunks that are trained at the same time."""
        return self.workers if self.executor.parallel else 1

    def chunks(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """Cut cells of one precision into chunks that fit the device."""
        on_cpu = self.first.type == "cpu"
        most = CHUNK_CELLS if on_cpu else cells_that_fit(cells, self.data[self.first])
        return chunks(cells, self.at_once, most)

    def train(self, chunk: Sequence[Cell], progress: ProgressCallback) -> list[CellResult]:
        """Train one chunk on the next device that is free."""
        device = self.free.get()
        try:
            return train_chunk(chunk, self.data[device][chunk[0].dataset], device, progress)
        finally:
            self.free.put(device)


def _outcomes(
    executor: Executor,
    parts: list[list[Cell]],
    train: TrainChunk,
    progress: ProgressCallback,
    workers: int,
) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results; train the cells of a chunk one by one if one cannot start.

    That a network cannot be made shows before any step, so no work is lost.
    """
    single = []
    for chunk, outcome in executor.run(parts, train, progress, workers):
        if isinstance(outcome, InitBenchError) and len(chunk) > 1:
            single += [[cell] for cell in chunk]
        else:
            yield chunk, outcome
    if single:
        yield from executor.run(single, train, progress, workers)
