"""Wait for what other processes do, find the children of one, and kill processes (Linux)."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def wait_until(happened: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something, on a machine that may be busy.

    Raises:
        TimeoutError: it did not happen in this time.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"what was waited for did not happen in {seconds:g} s")
        time.sleep(0.01)


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                yield from descendants(child)
                yield child


def kill(*pids: int) -> None:
    """Kill processes at once; some may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
