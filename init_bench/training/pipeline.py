"""Run a grid: skip the cells that are stored, train the others, store each chunk."""

import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from init_bench.init.progress_bar import no_progress_bars
from init_bench.training.cell import Cell
from init_bench.training.dispatch import Trainer, trainer_for
from init_bench.training.folder_locks import Claims, holder
from init_bench.training.grid import Grid
from init_bench.training.jobs import train_in_jobs
from init_bench.training.manifest import manifest
from init_bench.training.progress import Progress
from init_bench.training.results import Results, results_of
from init_bench.training.shards import Shard, cells_of_shard, check_shard
from init_bench.training.store import Store

log = logging.getLogger(__name__)


POLL_SECONDS = 1.0
"""Seconds between two checks of what other drivers have stored."""


def run(
    grid: Grid | Sequence[Grid],
    out: str | Path,
    *,
    device: str = "auto",
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = True,
) -> Results:
    """Train every cell of ``grid`` that ``out`` does not hold yet; return the grid's results.

    Each chunk is stored as soon as it is trained. After Ctrl-C or a failure the same call
    continues from there. Damaged chunks are moved to ``out/damaged`` and trained again. The same
    grid on the same device gives the same bits in every column but ``train_seconds``, whatever
    ``executor`` and ``workers`` are; on a GPU while as much of its memory is free, which sets how
    many cells are trained together.

    Args:
        grid: what to train; several grids share the folder and the work.
        out: folder of the run, made if it is not there.
        device: ``auto``, ``cpu``, ``cuda`` (all of them), ``cuda:1`` (that one), ``mps`` …
        executor: ``local`` (worker threads), ``serial``, ``ray``, ``slurm``, or one of your own
            (``register_executor``).
        workers: chunks at once; ``None`` is one per core on the CPU, one per accelerator, and on a
            cluster as many as it takes.
        executor_options: of the executor, such as ``{"partition": "gpu"}`` for ``slurm``. Every
            executor has ``chunk_timeout``: seconds after which a chunk counts as failed.
        shard: ``(i, n)`` trains and returns the i-th of n shards of the cells, counted from 1: n
            calls anywhere, on one folder, train the grid, and no two of them the same cell.
        progress: show a bar on a terminal and log lines elsewhere.

    Raises:
        InitBenchError: a bad device, executor, option, shard or folder, or an engine that is not
            there, before any work starts.

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
    with trainer_for(
        cells.values(),
        device=device,
        executor=executor,
        workers=workers,
        executor_options=executor_options,
    ) as trainer:
        store.open(manifest(grids, trainer.device, trainer.train.sums))
        for path in store.set_aside_damaged():
            text = "%s is damaged: moved to %s; the run of the grid it is of trains it again"
            log.warning(text, path, store.folder / "damaged")
        _say_stored(cells, store, logged=progress)
        if trainer.executor.stores:
            job = ShareDriver(
                grids=tuple(grids),
                shard=shard,
                folder=store.folder.absolute(),
                device=trainer.train.device,
                timeout=trainer.train.timeout,
            )
            failures = train_in_jobs(cells, trainer, store, job, shown=progress)
        else:
            failures = _train_missing(cells, trainer, store, shown=progress)
    return results_of(store, cells.keys(), failures)


def cells_of(grids: Iterable[Grid], shard: tuple[int, int] | None) -> dict[str, Cell]:
    """Return the cells of several grids, or of one shard of them, by key.

    Raises:
        InitBenchError: a bad shard.
    """
    cells = {cell.key: cell for grid in grids for cell in grid.iter_cells()}
    if shard is None:
        return cells
    return {cell.key: cell for cell in cells_of_shard(list(cells.values()), check_shard(shard))}


def _say_stored(cells: Mapping[str, Cell], store: Store, *, logged: bool) -> None:
    stored = len(cells.keys() & store.done())
    if logged and stored:
        log.info("%d of %d cells are stored in %s already", stored, len(cells), store.folder)


def _train_missing(
    cells: Mapping[str, Cell], trainer: Trainer, store: Store, *, shown: bool
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
            failures += _train_and_store(mine, trainer, store, claims, shown=shown)
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
    cells: Sequence[Cell], trainer: Trainer, store: Store, claims: Claims, *, shown: bool
) -> tuple[Path, ...]:
    """Train the cells and store each chunk when it is done; return the files about failures."""
    progress = Progress(len(cells), sum(cell.steps for cell in cells), shown=shown and bool(cells))
    failures = []
    with closing(progress), no_progress_bars():
        for chunk, outcome in trainer.outcomes(cells, progress.step):
            if isinstance(outcome, Exception):
                failures.append(store.write_failure(chunk, outcome))
                progress.fail(len(chunk))
            else:
                store.write(outcome, claimed=claims.held)
                progress.finish(len(chunk))
    return tuple(failures)


@dataclass(frozen=True, kw_only=True)
class ShareDriver:
    """Train a share of a grid in a job of its own, as a driver among others on the folder."""

    grids: tuple[Grid, ...]
    shard: Shard | None
    folder: Path
    device: str
    timeout: float | None

    def __call__(self, share: Shard, workers: int | None) -> None:
        """Train what is missing of the share, and store it."""
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        whole = list(cells_of(self.grids, self.shard).values())
        cells = {cell.key: cell for cell in cells_of_shard(whole, share)}
        store = Store(self.folder)
        if not cells.keys() - store.done():
            return
        with trainer_for(
            cells.values(),
            device=self.device,
            executor="local",
            workers=workers,
            executor_options={"chunk_timeout": self.timeout} if self.timeout else {},
        ) as trainer:
            _train_missing(cells, trainer, store, shown=True)
