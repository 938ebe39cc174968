"""The one exception for anything the caller can put right, and the checks that raise it."""

import difflib
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class InitBenchError(ValueError):
    """Anything the caller can put right by changing what they asked for."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``": did you mean 'x'?"`` for the known name nearest to ``name``, else ``"."``."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else "."


def lookup(menu: Mapping[str, T], name: str, *, kind: str) -> T:
    """Return ``menu[name]``; if there is none, say what was asked, what exists and what to do.

    Raises:
        InitBenchError: ``name`` is not on the menu.

    Example:
        >>> lookup({"relu": 1}, "relu", kind="activation")
        1
    """
    if name in menu:
        return menu[name]
    known = ", ".join(menu)
    raise InitBenchError(f"unknown {kind} {name!r}{nearest(name, menu)} Known: {known}.")


def finite(value: object, name: str, *, minimum: float = -math.inf) -> float:
    """Return ``value`` as a float, or say which argument has to be a finite number.

    Raises:
        InitBenchError: ``value`` is no number, not finite, or below ``minimum``.

    Example:
        >>> finite(2, "std", minimum=0)
        2.0
    """
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    if isinstance(value, bool) or not math.isfinite(number) or number < minimum:
        bound = f" >= {minimum:g}" if math.isfinite(minimum) else ""
        raise InitBenchError(f"{name} must be a finite number{bound}, got {value!r}")
    return number


def whole(value: Any, name: str, *, minimum: int) -> int:
    """Return ``value`` as an int, or say which argument has to be a whole number.

    Raises:
        InitBenchError: ``value`` is no whole number, or below ``minimum``.

    Example:
        >>> whole(5, "seeds", minimum=3)
        5
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = minimum - 1
    if isinstance(value, bool) or number < minimum:
        raise InitBenchError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return number


def whole_numbers(values: Any) -> list[int] | None:
    """Return ``values`` as Python's integers, which numpy's become; ``None`` if they are no such.

    Example:
        >>> whole_numbers((0, 10)), whole_numbers((0, True)), whole_numbers(3)
        ([0, 10], None, None)
    """
    try:
        values = list(values)
        found = [operator.index(value) for value in values]
    except TypeError:
        return None
    return None if any(isinstance(value, bool) for value in values) else found


def misfit(function: Callable[..., object], *arguments: object) -> str:
    """Return why ``function`` does not take ``arguments``; empty where it does or does not say.

    Example:
        >>> misfit(lambda: 1, 2), misfit(lambda x: x, 2), misfit(max, 2)
        ('too many positional arguments', '', '')
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of what is written in C
        return ""
    try:
        signature.bind(*arguments)
    except TypeError as cause:
        return str(cause)
    return ""
