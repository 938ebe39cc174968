"""What every verb prints and how it ends: messages, tables, exit codes."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from init_bench.cli.stop_signals import command
from init_bench.files import json_records

if TYPE_CHECKING:
    import pandas as pd


STDOUT, STDERR = 1, 2
"""File descriptors, which workers inherit."""


def say(text: str) -> None:
    """Print a message to stderr, so that stdout holds the result alone."""
    print(text, file=sys.stderr)


@contextmanager
def prints_aside() -> Iterator[None]:
    """Let what a model itself prints go to stderr while the block runs, in workers too."""
    if not sys.stdout:  # closed: its number may be that of another file
        yield
        return
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, STDOUT)
        os.close(kept)


def records(table: "pd.DataFrame", **columns: object) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values, ``columns`` before its own."""
    return [{**columns, **row} for row in json_records(table)]


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as JSON records."""
    knows_all = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    print(json.dumps(rows, ensure_ascii=not knows_all))


def print_rows(rows: list[dict[str, str]]) -> None:
    """Print rows as a table, columns aligned."""
    if sys.stdout.isatty():
        from init_bench.cli.colored_output import show_table

        show_table([*rows[0]], [[*row.values()] for row in rows])
        return
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names[:-1]]
    for row in [dict(zip(names, names, strict=True)), *rows]:
        head = "  ".join(f"{row[n]:<{w}}" for n, w in zip(names, widths, strict=False))
        print(f"{head}  {row[names[-1]]}")


def print_frame(frame: "pd.DataFrame") -> None:
    """Print a frame: on a terminal as a table that fits it, else as plain aligned text."""
    if not sys.stdout.isatty():
        print(frame.to_string(index=False, float_format="{:.4g}".format, na_rep=""))
        return
    from pandas.api.types import is_numeric_dtype

    from init_bench.cli.colored_output import show_table

    numbers = [str(name) for name in frame if is_numeric_dtype(frame[name])]
    texts = frame.map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    rows = texts.mask(frame.isna(), "").to_numpy().tolist()
    show_table(list(map(str, frame)), rows, numbers=numbers)


def print_text(text: str) -> None:
    """Print a result's text: on a terminal what is healthy, watched and bad in color."""
    if sys.stdout.isatty():
        from init_bench.cli.colored_output import show_text

        show_text(text)
    else:
        print(text)


def end_if_failed(failures: Sequence[Path]) -> None:
    """End with exit code 1 and the command that resumes, if training runs failed."""
    if failures:
        listed = "\n  ".join(map(str, failures))
        say(f"Some training runs failed; these files say which and why:\n  {listed}")
        say(f"The others are stored. Once the cause is mended, resume with:\n  {command()}")
        raise typer.Exit(1)
