"""Show the progress of a run: a bar on a terminal, a line every ten seconds in a log."""

import logging
import sys
import threading
import time
from collections.abc import Callable

from tqdm.auto import tqdm

log = logging.getLogger(__name__)


SECONDS_BETWEEN_LINES = 10.0


ProgressCallback = Callable[[int], None]
"""Called with the number of cell-steps done since the last call; may raise to stop."""


class Progress:
    """Count cell-steps and cells; several threads may call it."""

    def __init__(self, cells: int, steps: int, *, shown: bool) -> None:
        self.cells, self.steps = cells, steps
        self.cells_done = self.steps_done = 0
        self.started = self.last_line = time.monotonic()
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
        """Count ``steps`` more cell-steps."""
        with self.lock:
            self.steps_done += steps
            self.bar.update(steps)
            if time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
                self._log_line()

    def finish(self, cells: int) -> None:
        """Count ``cells`` more stored cells."""
        with self.lock:
            self.cells_done += cells
            self._describe()
            self._log_line()

    def close(self) -> None:
        """Close the bar."""
        self.bar.close()

    def _describe(self) -> None:
        self.bar.set_description_str(f"{self.cells_done}/{self.cells} cells")

    def _log_line(self) -> None:
        self.last_line = time.monotonic()
        if self.logged:
            rate = max(self.steps_done, 1) / max(self.last_line - self.started, 1e-9)
            left = (self.steps - self.steps_done) / rate
            log.info(
                "%d/%d cells, %.0f steps/s, %.0f s left", self.cells_done, self.cells, rate, left
            )
