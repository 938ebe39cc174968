"""What the command line shows on a terminal, and what goes into a pipe."""

import io
import os
import subprocess
import sys

import pandas as pd
import pytest

from init_bench.activations.menu import ACTIVATIONS
from init_bench.cli.completion import known_activations
from init_bench.cli.verb_output import print_frame, print_rows, print_text
from init_bench.init.progress_bar import no_progress_bars, progress_bar

TABLE = pd.DataFrame({"init": ["he_normal", "zeros"], "final_loss": [0.25, float("nan")]})
WORST = 'layer "2" (Linear): dead_units, value 1 above the limit 0.9\n  value: share of units'


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(patch: pytest.MonkeyPatch, columns: int = 80, *, no_color: bool = False) -> Terminal:
    """Let stdout and stderr be a terminal of so many columns."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        patch.delenv(name, raising=False)
    if no_color:
        patch.setenv("NO_COLOR", "1")
    patch.setenv("TERM", "xterm-256color")
    patch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    patch.setattr(sys, "stdout", stream)
    patch.setattr(sys, "stderr", stream)
    return stream


def test_a_pipe_gets_plain_and_whole_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(TABLE)
    print_text(WORST)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.splitlines()[:2] == ["     init  final_loss", "he_normal        0.25"]
    assert said.endswith(WORST + "\n")


def test_a_terminal_shows_severity_in_color(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    print_text(f"{WORST}\nHealthy, but 2 layers to watch")
    said = shown.getvalue()
    assert '\x1b[1;31mlayer "2" (Linear): dead_units' in said
    assert "\x1b[32mHealthy" in said and "\x1b[33m2 layers to watch" in said


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch, no_color=True)
    print_text(WORST)
    assert "31m" not in shown.getvalue()
    assert "dead_units" in shown.getvalue()


@pytest.mark.parametrize("columns", [10, 30, 120])
def test_a_table_is_whole_on_a_terminal_of_any_width(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = terminal(monkeypatch, columns, no_color=True)
    print_frame(TABLE)
    print_rows([{"check": "devices", "found": "cpu, cuda"}])
    said = shown.getvalue()
    words = "init final_loss he_normal 0.25 zeros check devices found cpu, cuda".split()
    assert all(word in said for word in words) and "…" not in said and "nan" not in said


def test_one_bar_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with progress_bar(4, "descent") as done, progress_bar(4, "inner") as inner:
        inner(4)
        done(4)
    assert "descent" in shown.getvalue() and " left" in shown.getvalue()
    assert "inner" not in shown.getvalue()


def test_no_bar_is_shown_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with no_progress_bars(), progress_bar(4, "descent") as done:
        done(4)
    assert shown.getvalue() == ""


COMPLETE = """
import sys
from init_bench.cli.app import main
sys.argv = ["init-bench"]
try:
    main()
finally:
    assert not {"torch", "pandas"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("init-bench compare he_n", "he_normal"),
        ("init-bench diagnose mine:net --init lsu", "lsuv"),
        ("init-bench compare --activation softs", "softsign"),
        ("init-bench list ver", "verdicts"),
        ("init-bench run grid.toml --device cud", "cuda"),
    ],
)
def test_the_shell_completes_names_without_torch(words: str, found: str) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        env={**os.environ, "_INIT_BENCH_COMPLETE": "complete_bash", **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [found], done.stderr


def test_the_activations_read_from_the_source_are_those_of_the_menu() -> None:
    assert known_activations() == list(ACTIVATIONS)
