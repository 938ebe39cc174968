"""Read sections of docstrings, from which menus take formula and source."""

import inspect
import re


def section(documented: object, title: str) -> str:
    """Return one section of a docstring as one line, empty where there is none.

    Example:
        >>> def double(x):
        ...     '''Double.
        ...
        ...     Formula:
        ...         2x.
        ...     '''
        >>> section(double, "Formula")
        '2x.'
    """
    text = inspect.getdoc(documented) or ""
    found = re.search(rf"^{title}:\n((?:    .*\n?)+)", text, flags=re.MULTILINE)
    return " ".join(found[1].split()) if found else ""
