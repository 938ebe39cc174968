"""Complete names on the command line, from the source alone: torch takes seconds to load."""

import ast
from collections.abc import Iterable
from pathlib import Path

from init_bench.cli.early_checks import known_inits

ACTIVATIONS = Path(__file__).parents[1] / "activations" / "menu.py"
"""The source that lists the activations; this file only reads it."""


DEVICES = ("auto", "cpu", "cuda", "mps")


def inits(incomplete: str) -> list[str]:
    """Return the initializers whose names begin so.

    Example:
        >>> inits("he_")
        ['he_normal', 'he_uniform']
    """
    return _beginning(known_inits(), incomplete)


def activations(incomplete: str) -> list[str]:
    """Return the activations whose names begin so.

    Example:
        >>> activations("soft")
        ['softplus', 'softsign']
    """
    return _beginning(known_activations(), incomplete)


def menus(incomplete: str) -> list[str]:
    """Return the lists that ``init-bench list`` prints.

    Example:
        >>> menus("i")
        ['inits']
    """
    from init_bench.cli.menu_listing import MENUS

    return _beginning(MENUS, incomplete)


def devices(incomplete: str) -> list[str]:
    """Return the usual devices whose names begin so.

    Example:
        >>> devices("c")
        ['cpu', 'cuda']
    """
    return _beginning(DEVICES, incomplete)


def known_activations() -> list[str]:
    """Return the names on the menu of activations."""
    for node in ast.parse(ACTIVATIONS.read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ACTIVATIONS":
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    return []


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
