"""The job of a grid: resolve, skip what is stored, train the rest, store each chunk."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from init_bench import datasets
from init_bench.errors import InitBenchError, lookup
from init_bench.training.cell import Cell
from init_bench.training.chunks import ACCELERATOR_CELLS, CHUNK_CELLS, chunks
from init_bench.training.devices import resolve_device
from init_bench.training.engine.trainer import Tick, train_chunk
from init_bench.training.executors import EXECUTORS, Execute, Finished, Train
from init_bench.training.grid import Grid
from init_bench.training.manifest import manifest
from init_bench.training.networks import check
from init_bench.training.progress import Progress
from init_bench.training.results import Results, load
from init_bench.training.store import Store
from init_bench.training.tables import CellResult

log = logging.getLogger(__name__)


def run(
    grid: Grid | Sequence[Grid],
    out: str | Path,
    *,
    device: str = "auto",
    executor: str = "local",
    workers: int | None = None,
    progress: bool = True,
) -> Results:
    """Train every cell of ``grid`` that ``out`` does not hold yet; return the grid's results.

    Each chunk is stored as soon as it is done; Ctrl-C or a failure loses none of those, and the
    same call goes on from there. Chunks found damaged are set aside in ``out/damaged`` and
    computed anew. Same grid, same device: the same bits in every column but ``train_seconds``,
    whatever ``executor`` and ``workers`` are.

    Args:
        grid: what to train; several grids share the folder and the work.
        out: folder of the run, made if need be.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
        executor: ``local`` (worker threads) or ``serial``.
        workers: worker threads; ``None`` is one per core on the CPU, one on an accelerator.
        progress: show a bar on a terminal and log lines elsewhere.

    Raises:
        InitBenchError: a bad device, executor or folder, before any work starts.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> results = run(Grid(init="he_normal", steps=2), folder, device="cpu", progress=False)
        >>> results.cells["status"].tolist(), len(results.curves)
        (['ok'], 2)
    """
    grids = [grid] if isinstance(grid, Grid) else list(grid)
    cells = {cell.key: cell for each in grids for cell in each.cells}
    target = resolve_device(device)
    execute = lookup(EXECUTORS, executor, kind="executor")
    if workers is not None and workers < 1:
        raise InitBenchError(f"workers must be at least 1, got {workers}")
    workers = workers or (os.cpu_count() or 1 if target.type == "cpu" else 1)
    store = Store(Path(out))
    data = {name: datasets.load(name).to(target) for each in grids for name in each.dataset}
    others = (cell for cell in cells.values() if not cell.is_plain_mlp)
    for cell in {(cell.cohort, cell.init): cell for cell in others}.values():
        check(cell, data[cell.dataset])
    store.open(manifest(grids, target, {name: d.sha256 for name, d in data.items()}))
    for path in store.set_aside_damaged():
        aside = store.folder / "damaged"
        log.warning("%s is damaged; set aside in %s and computed anew", path, aside)

    def train(chunk: Sequence[Cell], tick: Tick) -> list[CellResult]:
        return train_chunk(chunk, data[chunk[0].dataset], target, tick)

    missing = _missing(cells, store, told=progress)
    shown = Progress(len(missing), sum(c.steps for c in missing), shown=progress and bool(missing))
    try:
        most = CHUNK_CELLS if target.type == "cpu" else ACCELERATOR_CELLS
        parts = chunks(missing, workers if execute is EXECUTORS["local"] else 1, most)
        failures = _stored(store, _apart(execute, parts, train, shown.step, workers), shown)
    finally:
        shown.close()
    return _only(load(store.folder), set(cells), failures)


def _stored(store: Store, finished: Iterator[Finished], shown: Progress) -> tuple[Path, ...]:
    """Store each chunk as soon as it is done; return the files about those that failed."""
    failures = []
    for chunk, outcome in finished:
        if isinstance(outcome, Exception):
            failures.append(store.write_failure(chunk, outcome))
        else:
            store.write(outcome)
            shown.finish(len(chunk))
    return tuple(failures)


def _apart(
    execute: Execute, parts: list[list[Cell]], train: Train, tick: Tick, workers: int
) -> Iterator[Finished]:
    """Yield each chunk with its results; a cell whose network cannot be made spoils no other.

    That is found before any step, so the cells of such a chunk are then trained one by one.
    """
    alone = []
    for chunk, outcome in execute(parts, train, tick, workers):
        if isinstance(outcome, InitBenchError) and len(chunk) > 1:
            alone += [[cell] for cell in chunk]
        else:
            yield chunk, outcome
    if alone:
        yield from execute(alone, train, tick, workers)


def _missing(cells: Mapping[str, Cell], store: Store, *, told: bool) -> list[Cell]:
    """Return the cells that the folder does not hold yet."""
    done = store.done()
    missing = [cell for key, cell in cells.items() if key not in done]
    if told and len(missing) < len(cells):
        stored = len(cells) - len(missing)
        log.info("%d of %d cells are stored in %s already", stored, len(cells), store.folder)
    return missing


def _only(stored: Results, keys: set[str], failures: tuple[Path, ...]) -> Results:
    """Return the rows of the grid's own cells: a folder may hold more."""
    cells, curves, layers = (
        frame[frame["key"].isin(keys)].reset_index(drop=True)
        for frame in (stored.cells, stored.curves, stored.layers)
    )
    return Results(cells, curves, layers, folder=stored.folder, failures=failures)
