"""Run the chunks of a grid: one after another, or in worker threads.

Every executor trains a chunk with one intra-op thread: the same bits anywhere. To add one, write a
``RunChunks`` function and put an ``Executor`` into ``EXECUTORS``.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch

from init_bench.training.cell import Cell
from init_bench.training.progress import ProgressCallback
from init_bench.training.tables import CellResult

T = TypeVar("T")


TrainChunk = Callable[[Sequence[Cell], ProgressCallback], list[CellResult]]
"""Trains the cells of one chunk."""


ChunkOutcome = tuple[list[Cell], list[CellResult] | Exception]
"""A chunk and its results, or the error that it ended with."""


RunChunks = Callable[[list[list[Cell]], TrainChunk, ProgressCallback, int], Iterator[ChunkOutcome]]
"""Trains all chunks with a number of workers and yields each outcome as it comes."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Describe a way to run the chunks of a grid.

    Attributes:
        run: trains the chunks.
        parallel: whether it trains several chunks at once. A grid is then cut into at least as
            many chunks as there are workers.
        help: a line about it.
    """

    run: RunChunks
    parallel: bool
    help: str


class _StoppedError(Exception):
    """Stop a worker: its progress callback raises this once the run is to end."""


def serial(
    chunks: list[list[Cell]], train: TrainChunk, progress: ProgressCallback, workers: int
) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results, one after another in this thread."""
    for chunk in chunks:
        with one_thread():
            outcome = _outcome(lambda chunk=chunk: train(chunk, progress))  # type: ignore[misc]
        yield chunk, outcome


def local(
    chunks: list[list[Cell]], train: TrainChunk, progress: ProgressCallback, workers: int
) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results as worker threads finish them."""
    stop = threading.Event()

    def progress_or_stop(steps: int) -> None:
        if stop.is_set():
            raise _StoppedError
        progress(steps)

    def work(chunk: list[Cell]) -> list[CellResult]:
        torch.set_num_threads(1)
        return train(chunk, progress_or_stop)

    with one_thread(), ThreadPoolExecutor(max_workers=workers) as pool:
        # Two chunks a worker: the results of all that were trained would fill the memory.
        to_do = iter(chunks)
        futures: dict[Future[list[CellResult]], list[Cell]] = {
            pool.submit(work, chunk): chunk for chunk in islice(to_do, 2 * workers)
        }
        try:
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    yield futures.pop(future), _outcome(future.result)
                    futures |= {pool.submit(work, chunk): chunk for chunk in islice(to_do, 1)}
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


EXECUTORS: dict[str, Executor] = {
    "local": Executor(run=local, parallel=True, help="worker threads of this process"),
    "serial": Executor(run=serial, parallel=False, help="one chunk after another, no threads"),
}
"""Executors by name."""


def _outcome(work: Callable[[], T]) -> T | Exception:
    """Return what ``work`` returns or raises: an error in one chunk must not stop the others."""
    try:
        return work()
    except Exception as error:
        return error


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one intra-op thread while the block runs: two split small products differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
