"""A model that waits in a worker's process until the test opens a gate: faults hit it mid-task."""

import os
import time
from pathlib import Path

from torch import nn

from benchmarks.processes import wait_until

GATE = "INIT_BENCH_TEST_GATE"
"""Environment variable: the folder of the gate, and the process that does not wait."""


def net(features: int, classes: int, width: int) -> nn.Module:
    """Return a small network, once the gate is open."""
    folder, _, driver = os.environ.get(GATE, "").partition(":")
    if folder and os.getpid() != int(driver):
        (Path(folder) / f"{os.getpid()}.pid").touch()
        while not (Path(folder) / "open").exists():
            time.sleep(0.02)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes)
    )


class Gate:
    """See which processes wait at the gate, and open it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What the workers must find in their environment."""
        return {GATE: f"{self.folder}:{os.getpid()}"}

    def waiting(self, number: int, *, other_than: set[int] | None = None) -> list[int]:
        """Return the processes that wait, once there are so many."""
        found: list[int] = []

        def enough() -> bool:
            pids = {int(path.stem) for path in self.folder.glob("*.pid")} - (other_than or set())
            found[:] = sorted(pids)
            return len(found) >= number

        wait_until(enough)
        return found

    def open(self) -> None:
        """Let everyone through, from now on."""
        (self.folder / "open").touch()
