"""End a chunk that takes too long."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from init_bench.training.progress import ProgressCallback

T = TypeVar("T")


class ChunkTimeoutError(RuntimeError):
    """A chunk that took longer than it may."""


def within(
    seconds: float | None, work: Callable[[ProgressCallback], T], progress: ProgressCallback
) -> T:
    """Return ``work(progress)`` if it ends in time.

    Python cannot stop a thread from outside. A chunk that is merely slow stops at its next report
    of progress; one that hangs is left behind in a daemon thread, which ends with the process.

    Args:
        seconds: the limit; ``None`` is no limit, and no thread of its own.

    Raises:
        ChunkTimeoutError: it has not ended.

    Example:
        >>> within(9.0, lambda progress: 3, lambda steps: None)
        3
    """
    if seconds is None:
        return work(progress)
    over = threading.Event()

    def progress_in_time(steps: int) -> None:
        if over.is_set():
            raise _OverError
        progress(steps)

    future: Future[T] = Future()
    arguments = (future, work, progress_in_time)
    threading.Thread(target=_fulfil, args=arguments, daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        if future.done():  # it ended at the last moment, or the error is the work's own
            return future.result()
        raise ChunkTimeoutError(
            f"the chunk did not end within {seconds:g} s, the limit of --chunk-timeout"
        ) from None
    finally:
        over.set()


class _OverError(Exception):
    """Stop a chunk that nobody waits for any more."""


def _fulfil(
    future: Future[T], work: Callable[[ProgressCallback], T], progress: ProgressCallback
) -> None:
    try:
        future.set_result(work(progress))
    except BaseException as error:
        future.set_exception(error)
