"""Show one progress bar with the time left, on a terminal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_ONE = threading.Lock()
"""Held while a bar is shown: a process shows one at a time, the outermost."""


@contextmanager
def progress_bar(total: int, name: str, unit: str = "step") -> Iterator[Callable[[int], None]]:
    """Show a bar of ``total`` units; what is yielded counts more of them as done.

    Nothing is shown in a pipe or a log, nor inside another bar or ``no_progress_bars``. The bar is
    gone when the block ends.

    Example:
        >>> with progress_bar(3, "three steps") as done:
        ...     for _ in range(3):
        ...         done(1)
    """
    with _taken() as mine:
        hidden = None if mine else True  # None: tqdm looks whether there is a terminal
        form = "{desc}|{bar}| {n_fmt}/{total_fmt} {unit}s, {remaining} left"
        with tqdm(
            total=total, desc=name, unit=unit, disable=hidden, leave=False, bar_format=form
        ) as bar:
            yield bar.update


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Show no bar inside the block: who opens it shows one, or wants none."""
    with _taken():
        yield


@contextmanager
def _taken() -> Iterator[bool]:
    """Yield whether the one place for a bar was free, and hold it."""
    mine = _ONE.acquire(blocking=False)
    try:
        yield mine
    finally:
        if mine:
            _ONE.release()
