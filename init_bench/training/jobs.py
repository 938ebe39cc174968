"""Have jobs of a cluster train a grid, each a driver of its own on the folder of the run."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from init_bench.training.cell import Cell
from init_bench.training.dispatch import Trainer
from init_bench.training.executors.protocol import Jobs
from init_bench.training.progress import Progress
from init_bench.training.shards import Shard
from init_bench.training.store import Store

ATTEMPTS = 4
"""How often cells are given to jobs that end without storing them: once, and three times again."""


def train_in_jobs(
    cells: Mapping[str, Cell],
    trainer: Trainer,
    store: Store,
    train_share: Callable[[Shard, int | None], None],
    *,
    shown: bool,
) -> tuple[Path, ...]:
    """Train what is not stored; return the files about failures.

    Nothing is claimed here: the jobs claim what they train. Cells whose job was killed are given to
    other jobs.
    """
    before = _failure_files(store)
    for _ in range(ATTEMPTS):
        failed = _failed(store, before)
        missing = [cells[key] for key in cells.keys() - store.done() - failed.keys()]
        if not missing:
            break
        _run_jobs(sorted(missing, key=lambda cell: cell.key), trainer, store, train_share, shown)
    failed = _failed(store, before)
    lost = [cells[key] for key in sorted(cells.keys() - store.done() - failed.keys())]
    files = {failed[key] for key in failed.keys() & cells.keys()}
    error = RuntimeError(
        f"the jobs of these cells ended {ATTEMPTS} times without storing them: killed, or out of "
        f"time or memory. Their logs are in {store.folder}"
    )
    return (*sorted(files), *(store.write_failure(chunk, error) for chunk in trainer.chunks(lost)))


def _run_jobs(
    cells: Sequence[Cell],
    trainer: Trainer,
    store: Store,
    train_share: Callable[[Shard, int | None], None],
    shown: bool,
) -> None:
    """Run jobs until all have ended; show what they have stored meanwhile."""
    progress = Progress(len(cells), sum(cell.steps for cell in cells), shown=shown)
    awaited = {cell.key: cell for cell in cells}

    def count_stored(_: int) -> None:
        stored = [awaited.pop(key) for key in awaited.keys() & store.done()]
        if stored:
            progress.step(sum(cell.steps for cell in stored))
            progress.finish(len(stored))

    jobs = Jobs(
        folder=store.folder,
        train_share=train_share,
        seconds=lambda: trainer.seconds(trainer.chunks(cells)),
    )
    try:
        trainer.run_jobs(cells, count_stored, jobs)
        count_stored(0)
    finally:
        progress.close()


def _failure_files(store: Store) -> dict[Path, int]:
    """Return the files about failures, and when each was written."""
    found = {}
    for path in (store.folder / "failures").glob("[!.]*.json"):
        with suppress(FileNotFoundError):  # another driver has trained its cells
            found[path] = path.stat().st_mtime_ns
    return found


def _failed(store: Store, before: Mapping[Path, int]) -> dict[str, Path]:
    """Return the keys of the cells that have failed since, each with the file about it."""
    found = {}
    for path, written in _failure_files(store).items():
        if before.get(path) == written:
            continue
        with suppress(FileNotFoundError):  # as above
            for fields in json.loads(path.read_text())["cells"]:
                found[Cell(**fields).key] = path
    return found
