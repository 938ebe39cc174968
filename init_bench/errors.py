"""Define ``InitBenchError``, and the checks of arguments that raise it."""

import difflib
import inspect
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class InitBenchError(ValueError):
    """Report what the caller can put right by changing what they asked for."""


class StorageError(InitBenchError):
    """Output that cannot be written: a full disk, a folder that has become read-only."""


NO_ALIASES: Mapping[str, str] = {}


def nearest(name: str, known: Iterable[str], aliases: Mapping[str, str] = NO_ALIASES) -> str:
    """Return ``": did you mean 'x'?"`` for the known name nearest to ``name``, else ``"."``.

    Example:
        >>> nearest("Relu", ["elu", "relu"]), nearest("qqq", ["elu", "relu"])
        (": did you mean 'relu'?", '.')
    """
    near = similar_names(name, known, aliases)
    return f": did you mean {near[0]!r}?" if near else "."


SUGGESTED = 4
"""Names that a message suggests at most."""


def similar_names(
    name: str, known: Iterable[str], aliases: Mapping[str, str] = NO_ALIASES
) -> list[str]:
    """Return the known names that ``name`` may mean, at most four, the likeliest first.

    Those that begin with it or have it as a word; without any, those spelled alike. Case and
    underscores at the ends do not count. ``aliases`` are other names and what each stands for,
    which is returned.

    Example:
        >>> similar_names("he", ["zeros", "he_normal", "he_uniform"])
        ['he_normal', 'he_uniform']
        >>> similar_names("kaiming", ["he_normal"], {"kaiming_normal": "he_normal"})
        ['he_normal']
    """
    meant = {one: one for one in known} | dict(aliases)
    spelled = {one.lower(): meant[one] for one in sorted(meant, key=len)}
    asked = name.lower().strip("_")
    parts = [one for one in spelled if asked and _has_part(one, asked)]
    found = parts or difflib.get_close_matches(asked, spelled, n=SUGGESTED)
    return list(dict.fromkeys(spelled[one] for one in found))[:SUGGESTED]


def _has_part(name: str, part: str) -> bool:
    """Return whether ``name`` begins with ``part`` or has it as a word; a letter is no beginning.

    Example:
        >>> [_has_part("torch.he_normal", part) for part in ("torch", "he", "norm", "t")]
        [True, True, False, False]
    """
    return (len(part) > 1 and name.startswith(part)) or part in re.split("[_.]", name)


LISTED = ("init", "activation", "model", "dataset", "executor")
"""Kinds whose menu ``init-bench list`` prints: ``lookup`` need not repeat a long one."""


LONG = 30
"""A menu of more names than this is not repeated in a message."""


def lookup(
    menu: Mapping[str, T], name: str, *, kind: str, aliases: Mapping[str, str] = NO_ALIASES
) -> T:
    """Return ``menu[name]``; if there is none, say what was asked, what exists and what to do.

    A message names the whole menu; of one with more than ``LONG`` names, the similar ones and
    the command that lists all.

    Args:
        menu: what there is, by name.
        name: what was asked for.
        kind: of what is on the menu.
        aliases: other names and what each stands for, which a message suggests.

    Raises:
        InitBenchError: ``name`` is not on the menu.

    Example:
        >>> lookup({"relu": 1}, "relu", kind="activation")
        1
    """
    if not isinstance(name, str):
        raise InitBenchError(f"{kind} must be a name such as {next(iter(menu))!r}, got {name!r}")
    if name in menu:
        return menu[name]
    known = f"Known: {', '.join(menu)}."
    if len(menu) > LONG and kind in LISTED:
        similar = ", ".join(similar_names(name, menu, aliases)[1:])
        known = f"Similar: {similar}. " * bool(similar)
        known += f"List all: init-bench list {kind}s"
    raise InitBenchError(f"unknown {kind} {name!r}{nearest(name, menu, aliases)} {known}")


def each(check: Callable[[str], T], names: Iterable[str]) -> list[T]:
    """Return what ``check`` returns of each name, or refuse all that it refuses at once.

    Raises:
        InitBenchError: ``check`` raises one; of several, a line each.

    Example:
        >>> each(lambda name: lookup({"relu": 1}, name, kind="activation"), ["Relu", "qqq"])
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: unknown activation 'Relu': did you mean 'relu'? Known: relu.
        unknown activation 'qqq'. Known: relu.
    """  # noqa: E501 - the doctest shows the message as a user sees it
    found, errors = [], []
    for name in names:
        try:
            found.append(check(name))
        except InitBenchError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InitBenchError("\n".join(dict.fromkeys(map(str, errors)))) from errors[0]
    return found


def check_finite(value: object, name: str, *, minimum: float = -math.inf) -> float:
    """Return ``value`` as a float, or say which argument has to be a finite number.

    Raises:
        InitBenchError: ``value`` is no number, not finite, or below ``minimum``.

    Example:
        >>> check_finite(2, "std", minimum=0)
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


def check_int(value: Any, name: str, *, minimum: int) -> int:
    """Return ``value`` as an int, or say which argument must be an integer.

    Raises:
        InitBenchError: ``value`` is not an integer, or below ``minimum``.

    Example:
        >>> check_int(5, "seeds", minimum=3)
        5
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = minimum - 1
    if isinstance(value, bool) or number < minimum:
        raise InitBenchError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return number


def as_ints(values: Any) -> list[int] | None:
    """Return ``values`` as Python's integers, which numpy's become; ``None`` if they are no such.

    Example:
        >>> as_ints((0, 10)), as_ints((0, True)), as_ints(3)
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


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; the name of its class where it has no text.

    Example:
        >>> first_line(RuntimeError("bad\\nmore")), first_line(NotImplementedError())
        ('bad', 'NotImplementedError')
    """
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
