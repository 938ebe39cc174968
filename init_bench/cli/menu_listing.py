"""List the menus as rows and as text."""

import inspect
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

Row = dict[str, str]


PIPED_WIDTH = 100
"""Columns of a list that goes into a file or a pipe."""


def _name(row: Row) -> str:
    return row["name"]


def _init_head(row: Row) -> str:
    """Return how a spec calls the initialiser, what it must see, and its other names."""
    from init_bench.init import ALIASES
    from init_bench.init.menu import signature_of

    aliases = [alias for alias, name in ALIASES.items() if name == row["name"]]
    also = f" (also called {', '.join(aliases)})" if aliases else ""
    return f"{signature_of(row['name'])}: needs a {row['needs']}{also}"


def _inits() -> list[Row]:
    from init_bench.init import menu_rows

    order = ("name", "needs", "formula", "source")
    return [{column: row[column] for column in order} for row in menu_rows()]


def _activations() -> list[Row]:
    from init_bench.activations.menu import ACTIVATIONS

    return [
        {"name": name, "formula": phi.formula, "source": phi.source}
        for name, phi in ACTIVATIONS.items()
    ]


def _models() -> list[Row]:
    from init_bench.init.docstrings import section
    from init_bench.models import MODELS

    return [
        {"name": name, "formula": section(model, "Formula"), "source": section(model, "Source")}
        for name, model in MODELS.items()
    ]


def _datasets() -> list[Row]:
    from init_bench.datasets import described

    return [{"name": name, "source": source} for name, source in described().items()]


def _executors() -> list[Row]:
    from init_bench.training.executors import EXECUTORS

    return [
        {"name": name, "source": getattr(executor, "help", None) or _first_line(executor)}
        for name, executor in EXECUTORS.items()
    ]


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


@dataclass(frozen=True, kw_only=True)
class Menu:
    """One list: its rows, and the line that a row begins with in the terminal."""

    rows: Callable[[], list[Row]]
    head: Callable[[Row], str] = _name


MENUS = {
    "inits": Menu(rows=_inits, head=_init_head),
    "activations": Menu(rows=_activations),
    "models": Menu(rows=_models),
    "datasets": Menu(rows=_datasets),
    "executors": Menu(rows=_executors),
}
"""The lists by name."""


def formatted(menu: Menu) -> str:
    """Return a paragraph per row, as wide as the terminal, 100 columns where there is none."""
    width = shutil.get_terminal_size((PIPED_WIDTH, 0)).columns
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    lines = []
    for row in menu.rows():
        parts = [f"  {row[name]}" for name in ("formula", "source") if name in row]
        for text in (menu.head(row), *parts):
            lines += wrapper.wrap(text) or [""]
    return "\n".join(lines)
