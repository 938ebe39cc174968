"""Refuse misspelled names at once: importing the menu would load torch, which takes seconds."""

import ast
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from init_bench.errors import each, lookup

MENU = Path(__file__).parents[1] / "init" / "menu.py"
"""The source that lists the initializers; this file only reads it."""


def check_inits(specs: Iterable[str]) -> None:
    """Refuse a spec that begins with a name which is no initializer.

    All else about a spec is checked when it is parsed, and so are the names of torch's functions.

    Raises:
        InitBenchError: a name is unknown.

    Example:
        >>> check_inits(["normal(std=1)", "glorot_normal", "torch.default"])
        >>> check_inits(["he_norml"])
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: unknown init 'he_norml': did you mean 'he_normal'? Similar: he_uniform, normal, lecun_normal. List all: init-bench list inits
    """  # noqa: E501 - the doctest shows the message as a user sees it
    names = [spec.partition("(")[0].strip() for spec in specs]
    own = [name for name in names if name.isidentifier()]
    if own:
        known = known_inits()
        each(lambda name: lookup(known, name, kind="init", aliases=known), own)


def known_inits() -> dict[str, str]:
    """Return the names and aliases of the menu's own records, and what each stands for.

    Names of plug-ins are among them.

    Example:
        >>> known_inits()["lsuv"], known_inits()["kaiming_normal"]
        ('lsuv', 'he_normal')
    """
    names: dict[str, str] = {}
    for node in ast.walk(ast.parse(MENU.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "InitRecord":
            aliases = [k.value for k in node.keywords if k.arg == "aliases"]
            texts = [n for part in (node.args[0], *aliases) for n in ast.walk(part)]
            found = [str(n.value) for n in texts if isinstance(n, ast.Constant)]
            names |= dict.fromkeys(found, found[0] if found else "")
    return names | {point.name: point.name for point in entry_points(group="init_bench.inits")}
