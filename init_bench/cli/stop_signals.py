"""End on Ctrl-C or a scheduler's SIGTERM: one message, exit code 130 or 143, no traceback."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


GRACE_SECONDS = 1.0
"""A worker in the middle of long steps may take this long to stop; then the process ends."""


UNSTORED = "Nothing of this call is stored, except what is named above as written. Start it again:"


STORED = "Finished training runs are stored; those in progress are lost. Resume with:"


class StoppedError(BaseException):
    """A job was stopped by a signal and has put its things in order."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(_message(STORED))


def command() -> str:
    """Return the command line of this process."""
    return shlex.join(["init-bench", *sys.argv[1:]])


def heed_signals() -> None:
    """From now on a signal ends this process at once, as it has nothing to put in order.

    An exception instead would be a traceback while modules are imported, or a crash of torch.
    """
    for sent in _heeded():
        signal.signal(sent, lambda number, frame: _end(number, UNSTORED))


@contextmanager
def stoppable() -> Iterator[None]:
    """Let the block put its things in order at a signal, for a second or until another signal.

    Raises:
        StoppedError: a signal came.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if came:
            _end(number, STORED)
        came.append(number)
        timer.args = (number, STORED)
        timer.start()
        raise KeyboardInterrupt

    timer = threading.Timer(GRACE_SECONDS, _end)
    timer.daemon = True

    before = {sent: signal.getsignal(sent) for sent in _heeded()}
    for sent in before:
        signal.signal(sent, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(came[0] if came else signal.SIGINT) from None
    finally:
        timer.cancel()
        if not came:  # else the process is about to end: a signal more must not be a traceback
            for sent, handler in before.items():
                signal.signal(sent, handler or signal.SIG_DFL)


def _heeded() -> list[signal.Signals]:
    """Return the signals that a shell has not set to be ignored."""
    return [sent for sent in SIGNALS if signal.getsignal(sent) is not signal.SIG_IGN]


def _message(kept: str) -> str:
    return f"\nStopped. {kept}\n  {command()}"


def _end(number: int, kept: str) -> NoReturn:
    """End the process without waiting for anything."""
    with suppress(OSError):
        os.write(2, f"{_message(kept)}\n".encode())  # print is not reentrant
    os._exit(128 + number)
