"""Show the progress of a run: a bar on a terminal, a line a minute in a log."""

import logging
import sys
import threading
import time
from collections.abc import Callable

from tqdm import tqdm

log = logging.getLogger(__name__)


SECONDS_BETWEEN_LINES = 60.0


ALIVE_SECONDS = 60.0
"""A worker that has reported no step for this long does not count as alive."""


ProgressCallback = Callable[[int], None]
"""Called with the number of cell-steps done since the last call; may raise to stop."""


class Progress:
    """Count cell-steps and cells; several threads may call it."""

    def __init__(self, cells: int, steps: int, *, shown: bool) -> None:
        self.cells, self.steps = cells, steps
        self.cells_done = self.cells_failed = self.steps_done = 0
        self.started = time.monotonic()
        self.last_line: float | None = None
        self.reports: dict[int, float] = {}  # when each worker last did a step
        self.lock = threading.Lock()
        on_terminal = shown and sys.stderr.isatty()
        self.logged = shown and not on_terminal
        self.bar = tqdm(
            total=steps,
            disable=not on_terminal,
            unit="step",
            unit_scale=True,
            bar_format="{desc}|{bar}| {rate_fmt}, {remaining} left",
        )
        self._describe()

    def step(self, steps: int) -> None:
        """Count ``steps`` more cell-steps of the worker that calls."""
        with self.lock:
            self.steps_done += steps
            self.reports[threading.get_ident()] = time.monotonic()
            self.bar.update(steps)
            if self.last_line is None or time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
                self._log_line()

    def finish(self, cells: int) -> None:
        """Count ``cells`` more stored cells."""
        with self.lock:
            self.cells_done += cells
            self._describe()

    def fail(self, cells: int) -> None:
        """Count ``cells`` more cells that failed."""
        with self.lock:
            self.cells_failed += cells
            self._describe()

    def close(self) -> None:
        """Close the bar; in a log, say how it ended."""
        self.bar.close()
        if self.cells:
            self._log_line()

    @property
    def workers(self) -> int:
        """Workers that reported steps lately."""
        now = time.monotonic()
        return sum(now - last < ALIVE_SECONDS for last in self.reports.values())

    def _describe(self) -> None:
        self.bar.set_description_str(self._counts())

    def _counts(self) -> str:
        failed = f", {self.cells_failed} failed" if self.cells_failed else ""
        workers = f", {self.workers} workers" if self.workers > 1 else ""
        return f"{self.cells_done}/{self.cells} cells{failed}{workers}"

    def _log_line(self) -> None:
        """Say how far the run is; its first steps, which load and compile, tell no speed."""
        first, self.last_line = self.last_line is None, time.monotonic()
        if not self.logged:
            return
        if first:
            log.info("%s", self._counts())
            return
        rate = max(self.steps_done, 1) / max(self.last_line - self.started, 1e-9)
        left = max(0, self.steps - self.steps_done) / rate
        log.info("%s, %.0f steps/s, %.0f s left", self._counts(), rate, left)
