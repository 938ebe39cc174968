"""Run chunks in this process: one after another, or in worker threads."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice

from init_bench.training.cell import Cell
from init_bench.training.executors.protocol import ChunkOutcome, Work, outcome_of
from init_bench.training.tables import CellResult


class _StoppedError(Exception):
    """Stop a worker: its progress callback raises this once the run is to end."""


def serial(work: Work) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results, one after another in this thread."""
    for chunk in work.chunks:
        yield chunk, outcome_of(partial(work.train, chunk, work.progress))


def local(work: Work) -> Iterator[ChunkOutcome]:
    """Yield each chunk with its results as worker threads finish them."""
    stop = threading.Event()

    def progress_or_stop(steps: int) -> None:
        if stop.is_set():
            raise _StoppedError
        work.progress(steps)

    with ThreadPoolExecutor(max_workers=work.workers) as pool:
        # Two chunks a worker: the results of all that were trained would fill the memory.
        to_do = iter(work.chunks)
        futures: dict[Future[list[CellResult]], list[Cell]] = {
            pool.submit(work.train, chunk, progress_or_stop): chunk
            for chunk in islice(to_do, 2 * work.workers)
        }
        try:
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    yield futures.pop(future), outcome_of(future.result)
                    futures |= {
                        pool.submit(work.train, chunk, progress_or_stop): chunk
                        for chunk in islice(to_do, 1)
                    }
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
