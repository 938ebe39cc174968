"""Progress in a log: one line at the start, then one a minute, and one at the end."""

import logging
import threading
from typing import Any

import pytest

from init_bench.training import progress as module
from init_bench.training.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands at ``now[0]``."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_a_minute(caplog: pytest.LogCaptureFixture, clock: list[float]) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress(4, 4000, shown=True)
        for _ in range(150):
            clock[0] += 1
            progress.step(10)
            progress.finish(0)
        progress.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    assert said[0] == "0/4 cells", "the first steps load and compile: they tell no speed"
    assert said[-1] == "0/4 cells, 10 steps/s, 250 s left"


def test_a_line_counts_failures_and_the_workers_that_live(
    caplog: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    progress = Progress(40, 4000, shown=True)
    progress.step(1)
    other = threading.Thread(target=progress.step, args=(1,))
    other.start()
    other.join()
    progress.finish(20)
    progress.fail(10)
    with caplog.at_level(logging.INFO):
        progress.close()
        assert "20/40 cells, 10 failed, 2 workers, " in caplog.text
        clock[0] += module.ALIVE_SECONDS + 1
        progress.step(1)
    assert progress.workers == 1, "the other has been silent for too long"


def test_what_is_not_shown_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress(4, 40, shown=False)
        progress.step(10)
        progress.close()
    assert caplog.text == ""
