"""What every verb prints and how it ends: messages, tables, exit codes, Ctrl-C."""

import json
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from init_bench.errors import StorageError

if TYPE_CHECKING:
    import pandas as pd


def say(text: str) -> None:
    """Print a message to stderr, so that stdout holds the result alone."""
    print(text, file=sys.stderr)


def records(table: "pd.DataFrame", **columns: object) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values, ``columns`` before its own."""
    rows = json.loads(table.to_json(orient="records"))
    return [{**columns, **row} for row in rows]


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as JSON records."""
    print(json.dumps(rows, ensure_ascii=False))


def print_rows(rows: list[dict[str, str]]) -> None:
    """Print rows as a table, columns aligned."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names[:-1]]
    for row in [dict(zip(names, names, strict=True)), *rows]:
        head = "  ".join(f"{row[n]:<{w}}" for n, w in zip(names, widths, strict=False))
        print(f"{head}  {row[names[-1]]}")


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C, or a scheduler's SIGTERM, into exit code 1 and the command that resumes."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say(
            "\nStopped. Finished training runs are stored; those in progress are lost. "
            f"Resume with:\n  {_command()}"
        )
        raise typer.Exit(1) from None
    except StorageError as error:
        say(f"error: {error}:\n  {_command()}")
        raise typer.Exit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def end_if_failed(failures: Sequence[Path]) -> None:
    """End with exit code 1 and the command that resumes, if training runs failed."""
    if failures:
        listed = "\n  ".join(map(str, failures))
        say(f"Some training runs failed; these files say which and why:\n  {listed}")
        say(f"The others are stored. Once the cause is mended, resume with:\n  {_command()}")
        raise typer.Exit(1)


def _command() -> str:
    return shlex.join(["init-bench", *sys.argv[1:]])
