"""Show text and tables on a terminal: colors by severity, tables as wide as there is room.

Rich leaves colors out where ``NO_COLOR`` is set or the terminal is dumb.
"""

import sys
from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

COLORS = Theme(
    {
        "severity.good": "green",
        "severity.watch": "yellow",
        "severity.bad": "bold red",
        "severity.aside": "dim",
    }
)


class Severity(RegexHighlighter):
    """Color the words that say how bad a finding is."""

    base_style = "severity."
    highlights = (
        r"(?m)^(?P<good>(Step \d+: )?([Hh]ealthy|HOLDS)\b)",
        r"(?P<good>signal and gradients healthy)",
        r"(?P<watch>\d+ layers? to watch)",
        r"(?m)^(?P<watch>watch) \(",
        r"(?m)^(?P<bad>DOES NOT HOLD)",
        r"(?P<bad>\d+ layers? needs? attention)",
        r"(?m)^(?P<bad>(step \d+, )?(layer |\()[^\n]*?: \w+), value",
        r"(?m)^(?P<aside>  value: .*)$",
    )


def show_text(text: str) -> None:
    """Print text with its severities in color; long lines are the terminal's to break."""
    _console().print(Severity()(Text(text)), soft_wrap=True)


def show_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()
) -> None:
    """Print a table; where its words do not fit side by side, a line per value and row.

    Nothing is cut off. Columns of ``numbers`` stand on the right.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(Text(name), justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console = _console()
    boundless = console.options.update(max_width=sys.maxsize)
    if Measurement.get(console, boundless, table).minimum <= console.width:
        console.print(table)
        return
    for row in rows:
        pairs = zip(names, row, strict=True)
        lines = [Text.assemble((f"{name}: ", "bold"), value) for name, value in pairs]
        console.print(*lines, "", sep="\n", soft_wrap=True)


def _console() -> Console:
    return Console(theme=COLORS, highlight=False)
