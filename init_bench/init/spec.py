"""Parse spec strings: ``name`` or ``name(key=value, …)`` with Python literals, never run."""

import ast
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, lookup, nearest
from init_bench.init.lookup import ALIASES, INITS, NOT_IN_SPECS, all_inits, needs_of, record_of

Value = float | int | str | bool | None


@dataclass(frozen=True)
class InitSpec:
    """An initializer and its arguments.

    Attributes:
        name: canonical name on the menu, aliases resolved.
        arguments: what the spec string gave, in the order of the initializer's signature.
    """

    name: str
    arguments: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, name: str, **arguments: Any) -> "InitSpec":
        """Return the initializer ``name`` with arguments that may be no literals, as functions.

        Raises:
            InitBenchError: there is no such initializer, or it does not take the arguments.

        Example:
            >>> str(InitSpec.of("normal", std=0.5))
            'normal(std=0.5)'
        """
        name = ALIASES.get(name, name)
        lookup(all_inits(), name, kind="init", aliases=ALIASES)
        order = _bind(name, name, arguments)
        return cls(name, tuple((key, arguments[key]) for key in order if key in arguments))

    def __str__(self) -> str:
        """Return the canonical spec string: ``normal(std=1.0)`` is ``normal(std=1)``."""
        given = ", ".join(f"{key}={_literal(value)}" for key, value in self.arguments)
        return f"{self.name}({given})" if given else self.name

    @property
    def needs(self) -> str:
        """What it must see: ``tensor``, ``module``, ``batch`` or ``loss``."""
        return needs_of(self.name)

    @property
    def resets_modules(self) -> bool:
        """Whether it is each module's own ``reset_parameters``, torch's default."""
        return record_of(self.name).resets_modules

    @property
    def fills_one_layer(self) -> bool:
        """Whether it can fill a layer that stands alone; the others must see the whole network."""
        return self.needs == "tensor" or self.resets_modules

    def __call__(self, tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor`` in place.

        Raises:
            InitBenchError: the initializer must see more than one tensor.
        """
        if self.name not in INITS:
            raise InitBenchError(
                f"{self.name} needs a {self.needs}, not one tensor: initialize(model, '{self}')"
            )
        fill = INITS[self.name]
        return fill(tensor, generator=generator, **dict(self.arguments))


def parse(text: str) -> InitSpec:
    """Return the initializer that ``text`` names.

    Raises:
        InitBenchError: ``text`` is malformed, names no initializer, or gives arguments that the
            initializer does not take. Nothing in ``text`` is ever evaluated but literals.

    Example:
        >>> str(parse("kaiming_normal( mode = 'fan_out' )"))
        "he_normal(mode='fan_out')"
        >>> parse("normal(sd=1)")
        Traceback (most recent call last):
        init_bench.errors.InitBenchError: init 'normal(sd=1)': normal takes no 'sd': did you mean 'std'? It takes: mean, std.
    """  # noqa: E501 - the doctest shows the message as a user sees it
    if not isinstance(text, str):
        raise InitBenchError(f"an init is a string such as 'normal(std=0.01)', got {text!r}")
    name, keywords = _read(text)
    name = ALIASES.get(name, name)
    lookup(all_inits(), name, kind="init", aliases=ALIASES)
    arguments = {keyword.arg or "**": _value(keyword.value, text) for keyword in keywords}
    order = _bind(text, name, arguments)
    return InitSpec(name, tuple((key, arguments[key]) for key in order if key in arguments))


def canonical(text: str) -> str:
    """Return a spec as tables, keys and figures spell it.

    Args:
        text: ``name`` or ``name(key=value, ...)``.

    Raises:
        InitBenchError: as ``parse``.

    Example:
        >>> canonical("kaiming_normal"), canonical("normal( std = 1 )")
        ('he_normal', 'normal(std=1)')
    """
    return str(parse(text))


def _read(text: str) -> tuple[str, list[ast.keyword]]:
    """Return the name and the keyword arguments that ``text`` spells, nothing evaluated."""
    malformed = InitBenchError(
        f"init {text!r} is malformed: write name or name(key=value, ...) with literal values, "
        f"such as he_normal, normal(std=0.01) or torch.kaiming_normal(mode='fan_out')"
    )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise malformed from None
    keywords: list[ast.keyword] = []
    if isinstance(tree, ast.Call):
        if tree.args:
            raise malformed
        keywords = tree.keywords
        tree = tree.func
    if not isinstance(tree, ast.Name | ast.Attribute):
        raise malformed
    names = [keyword.arg for keyword in keywords]
    if None in names or len(set(names)) < len(names):
        raise malformed
    return ast.unparse(tree), keywords


def _value(node: ast.expr, text: str) -> Value:
    """Return the literal that ``node`` spells."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        value = node
    if not isinstance(value, Value):
        raise InitBenchError(
            f"init {text!r}: {ast.unparse(node)} is no literal; "
            f"a value is a number, a quoted string, True, False or None"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InitBenchError(f"init {text!r}: {ast.unparse(node)} is not finite")
    return value


def _bind(text: str, name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Check ``arguments`` against the initializer's signature; return its parameters in order."""
    parameters = list(inspect.signature(all_inits()[name]).parameters.values())[1:]
    taken = {p.name: p for p in parameters if p.name not in NOT_IN_SPECS}
    listed = ", ".join(taken) or "no arguments"
    for key in arguments:
        if key not in taken:
            raise InitBenchError(
                f"init {text!r}: {name} takes no {key!r}{nearest(key, taken)} It takes: {listed}."
            )
    required = [key for key, parameter in taken.items() if parameter.default is parameter.empty]
    missing = [key for key in required if key not in arguments]
    if missing:
        example = ", ".join(f"{key}=0.5" for key in missing)
        raise InitBenchError(
            f"init {text!r}: {name} needs {', '.join(missing)}, as in {name}({example})"
        )
    return list(taken)


def _literal(value: Value) -> str:
    """Return ``value`` as it is written in a spec, integral floats without their point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if callable(value):
        return repr(f"{value.__module__}:{value.__qualname__}")
    return repr(value)
