"""Hand cells to an executor: check what was asked for, cut chunks, pass on outcomes."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from init_bench import datasets
from init_bench.datasets import Dataset
from init_bench.errors import InitBenchError, lookup
from init_bench.training.cell import Cell
from init_bench.training.chunk_timing import seconds_of
from init_bench.training.chunk_trainer import ChunkTrainer
from init_bench.training.chunks import CHUNK_CELLS, chunks
from init_bench.training.device_memory import UNKNOWN, cells_that_fit
from init_bench.training.devices import devices_of, resolve_device
from init_bench.training.executors import EXECUTORS, ChunkOutcome, Executor, Resources, Work
from init_bench.training.executors.protocol import Jobs, checked_options
from init_bench.training.intra_op import one_thread
from init_bench.training.networks import check
from init_bench.training.precision import check_precision, float32_products
from init_bench.training.progress import ProgressCallback


@contextmanager
def trainer_for(
    cells: Collection[Cell],
    *,
    device: str,
    executor: str,
    workers: int | None,
    executor_options: Mapping[str, Any] | None,
) -> Iterator["Trainer"]:
    """Hold an executor that trains these cells, once options, data and networks are checked.

    Raises:
        InitBenchError: a bad device, executor, option or number of workers; a network that does
            not fit; an engine that is not there.
    """
    chosen = lookup(EXECUTORS, executor, kind="executor")
    options = checked_options(executor, chosen, executor_options or {})
    timeout = options.pop("chunk_timeout", None)
    if workers is not None and workers < 1:
        raise InitBenchError(f"workers must be at least 1, got {workers}")
    target = _device_elsewhere(device, options) if chosen.elsewhere else resolve_device(device)
    if not chosen.elsewhere or target.type == "cpu":  # others are not here to be asked
        for precision in dict.fromkeys(cell.precision for cell in cells):
            check_precision(precision, target)
    data = {name: datasets.load(name) for name in dict.fromkeys(cell.dataset for cell in cells)}
    _check_networks(cells, data)
    sums = {name: each.sha256 for name, each in data.items()}
    name = str(target) if chosen.elsewhere else device
    train = ChunkTrainer(name, sums, timeout, data)
    if not chosen.elsewhere:
        workers = workers or default_workers(devices_of(device))
    resources = Resources(device=target.type, workers=workers, options=options)
    with chosen.connect(resources) as at_once:
        yield Trainer(chosen, train, target, resources, at_once)


def default_workers(devices: Sequence[torch.device]) -> int:
    """Return the chunks at once on these devices: one per core, or one per accelerator."""
    return os.cpu_count() or 1 if devices[0].type == "cpu" else len(devices)


def _device_elsewhere(name: str, options: Mapping[str, Any]) -> torch.device:
    """Return the kind of device of other machines that ``name`` stands for.

    ``auto`` is a GPU if the executor's option ``gpus`` asks for one, the CPU if it asks for none,
    else what it is on this machine.

    Raises:
        InitBenchError: torch knows no such kind, or ``name`` has an index.
    """
    if name == "auto" and "gpus" in options:
        return torch.device("cuda" if options["gpus"] else "cpu")
    try:
        device = resolve_device(name) if name == "auto" else torch.device(name)
    except RuntimeError:
        device = resolve_device(name)  # raises, and says what there is
    if name != "auto" and device.index is not None:
        raise InitBenchError(
            f"device {name!r}: which one of a machine is chosen there; write {device.type!r}"
        )
    return torch.device(device.type)


def _check_networks(cells: Iterable[Cell], data: Mapping[str, Dataset]) -> None:
    """Check one cell of each model, data set and initializer."""
    for cell in {(cell.cohort, cell.init): cell for cell in cells}.values():
        check(cell, data[cell.dataset])


class Trainer:
    """Train cells with an executor.

    Attributes:
        device: that the chunks are trained on, of this machine or of others.
        at_once: chunks that are trained at the same time.
    """

    def __init__(
        self,
        executor: Executor,
        train: ChunkTrainer,
        device: torch.device,
        resources: Resources,
        at_once: int,
    ) -> None:
        self.executor, self.train, self.device, self.resources = executor, train, device, resources
        self.workers, self.at_once = at_once, at_once if executor.parallel else 1

    def outcomes(self, cells: Sequence[Cell], progress: ProgressCallback) -> Iterator[ChunkOutcome]:
        """Yield each chunk with its results, the chunks of one precision after another."""
        for precision in dict.fromkeys(cell.precision for cell in cells):
            work = self._work([cell for cell in cells if cell.precision == precision], progress)
            with one_thread(), float32_products(precision, self.device):
                yield from _outcomes(self.executor, work)

    def run_jobs(self, cells: Sequence[Cell], progress: ProgressCallback, jobs: Jobs) -> None:
        """Have jobs train and store cells; return when the jobs have ended."""
        for _ in self.executor.run(replace(self._work(cells, progress), jobs=jobs)):
            pass

    def _work(self, cells: Sequence[Cell], progress: ProgressCallback) -> Work:
        return Work(
            chunks=self.chunks(cells),
            train=self.train,
            progress=progress,
            workers=self.workers,
            resources=self.resources,
        )

    def chunks(self, cells: Sequence[Cell]) -> list[list[Cell]]:
        """Cut cells into chunks of one precision that fit the device."""
        found = []
        for precision in dict.fromkeys(cell.precision for cell in cells):
            alike = [cell for cell in cells if cell.precision == precision]
            found += chunks(alike, self.at_once, self._most(alike))
        return found

    def _most(self, cells: Sequence[Cell]) -> int:
        """Return the largest number of cells of a chunk."""
        if self.device.type == "cpu":
            return CHUNK_CELLS
        if self.executor.elsewhere:
            return UNKNOWN
        names = dict.fromkeys(cell.dataset for cell in cells)
        return cells_that_fit(
            cells, {n: self.train.data_on(self.train.devices[0], n) for n in names}
        )

    def seconds(self, chunks: Iterable[list[Cell]]) -> float:
        """Return about how long chunks take one after another, timed on this machine.

        Where it lacks the device, its CPU is timed.
        """
        try:
            device = str(resolve_device(self.train.device))
        except InitBenchError:
            device = "cpu"
        return seconds_of(chunks, ChunkTrainer(device, self.train.sums, data=self.train.loaded))


def _outcomes(executor: Executor, work: Work) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results; train the cells of a chunk one by one if one cannot start.

    That a network cannot be made shows before any step, so no work is lost.
    """
    single = []
    for chunk, outcome in executor.run(work):
        if isinstance(outcome, InitBenchError) and len(chunk) > 1:
            single += [[cell] for cell in chunk]
        else:
            yield chunk, outcome
    if single:
        yield from executor.run(replace(work, chunks=single))
