"""Executors of one process. Each gives every chunk one intra-op thread: the same bits anywhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import torch

from init_bench.training.cell import Cell
from init_bench.training.engine.trainer import Tick
from init_bench.training.tables import CellResult

__all__ = ["EXECUTORS", "Execute", "Finished", "Train"]


Train = Callable[[Sequence[Cell], Tick], list[CellResult]]


Finished = tuple[list[Cell], list[CellResult] | Exception]


Execute = Callable[[list[list[Cell]], Train, Tick, int], Iterator[Finished]]


T = TypeVar("T")


class _StoppedError(Exception):
    """Raised inside a worker by its tick once the run is to end."""


def serial(chunks: list[list[Cell]], train: Train, tick: Tick, workers: int) -> Iterator[Finished]:
    """Yield each chunk with its results, one after another in this thread."""
    for chunk in chunks:
        with _one_thread():
            outcome = _outcome(lambda chunk=chunk: train(chunk, tick))  # type: ignore[misc]
        yield chunk, outcome


def local(chunks: list[list[Cell]], train: Train, tick: Tick, workers: int) -> Iterator[Finished]:
    """Yield each chunk with its results as worker threads finish them."""
    stop = threading.Event()

    def watched(steps: int) -> None:
        if stop.is_set():
            raise _StoppedError
        tick(steps)

    def work(chunk: list[Cell]) -> list[CellResult]:
        torch.set_num_threads(1)
        return train(chunk, watched)

    with _one_thread(), ThreadPoolExecutor(max_workers=workers) as pool:
        futures: dict[Future[list[CellResult]], list[Cell]] = {
            pool.submit(work, chunk): chunk for chunk in chunks
        }
        try:
            for future in as_completed(futures):
                yield futures[future], _outcome(future.result)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


EXECUTORS: dict[str, Execute] = {"local": local, "serial": serial}


def _outcome(work: Callable[[], T]) -> T | Exception:
    """Return what ``work`` returns or raises: one chunk's fault must not lose the others."""
    try:
        return work()
    except Exception as error:
        return error


@contextmanager
def _one_thread() -> Iterator[None]:
    """One intra-op thread while the block runs: two split small products differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
