"""Turn names into pairs to compare: those named, or an initializer and torch's counterpart."""

import inspect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from init_bench.errors import InitBenchError, each
from init_bench.init import ALIASES, INITS, InitSpec, menu_rows, parse

COUNTERPARTS = {
    "lecun_normal": "torch.kaiming_normal(nonlinearity='linear')",
    "lecun_uniform": "torch.kaiming_uniform(nonlinearity='linear')",
    "identity": "torch.eye",
}
"""Counterparts in torch with a name that is none of the initializer's own names."""


STAND_IN = 0.5
"""Value for an argument without a default, where the whole menu is compared."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two initializers ``a`` and ``b``: differences are a − b, ratios a / b."""

    a: InitSpec
    b: InitSpec

    def __str__(self) -> str:
        return f"{self.a} vs {self.b}"


def pairs_of(names: Sequence[str]) -> list[Pair]:
    """Return every two of ``names``, one name with torch's counterpart, or all that have one.

    Raises:
        InitBenchError: a name is unknown, malformed or given twice, or the only one, without a
            counterpart.

    Example:
        >>> [str(pair) for pair in pairs_of(["kaiming_normal(mode='fan_out')"])]
        ["he_normal(mode='fan_out') vs torch.kaiming_normal(mode='fan_out')"]
    """
    if not names:
        ours = [name for name in INITS if counterpart_name(name)]
        return [_with_counterpart(_with_stand_ins(name)) for name in ours]
    specs = each(parse, names)
    if len(specs) == 1:
        return [_with_counterpart(specs[0])]
    for (name, spec), (other, same) in itertools.combinations(zip(names, specs, strict=True), 2):
        if spec == same:
            raise InitBenchError(
                f"{name!r} and {other!r} are the same initializer, {spec}: name it once"
            )
    return [Pair(a=a, b=b) for a, b in itertools.combinations(specs, 2)]


def counterpart_name(name: str) -> str | None:
    """Return the name of torch's counterpart of an initializer, ``None`` where there is none.

    Example:
        >>> counterpart_name("he_normal"), counterpart_name("variance_scaling")
        ('torch.kaiming_normal', None)
    """
    names = [name, *(alias for alias, canonical in ALIASES.items() if canonical == name)]
    same = [f"torch.{each}" for each in names if f"torch.{each}" in INITS]
    return same[0] if same else COUNTERPARTS.get(name)


def without_counterpart() -> tuple[str, ...]:
    """Return the initializers of the menu, of any kind, that have no counterpart in torch.

    Example:
        >>> "variance_scaling" in without_counterpart(), "he_normal" in without_counterpart()
        (True, False)
    """
    ours = [row["name"] for row in menu_rows() if not row["name"].startswith("torch.")]
    return tuple(name for name in ours if counterpart_name(name) is None)


def _with_counterpart(spec: InitSpec) -> Pair:
    """Pair ``spec`` with torch's function, given the same arguments by position."""
    name = counterpart_name(spec.name)
    if name is None:
        raise InitBenchError(
            f"{spec.name} has no counterpart in torch.nn.init: name a second initializer, "
            f"such as {spec.name} torch.kaiming_normal"
        )
    other = parse(name) if name not in INITS else InitSpec(name)
    places = dict(zip(_parameters(spec.name), _parameters(other.name), strict=False))
    unknown = [key for key, _ in spec.arguments if key not in places]
    if unknown or (spec.arguments and other.arguments):
        raise InitBenchError(
            f"torch's counterpart of {spec.name} does not take the arguments of {spec}: name a "
            f"second initializer, such as {spec} torch.kaiming_normal"
        )
    same = tuple((places[key], value) for key, value in spec.arguments)
    return Pair(a=spec, b=InitSpec(other.name, other.arguments + same))


def _with_stand_ins(name: str) -> InitSpec:
    """Return the initializer with ``STAND_IN`` for each argument that has no default."""
    required = [key for key, default in _parameters(name).items() if default is inspect._empty]
    return InitSpec(name, tuple((key, STAND_IN) for key in required))


def _parameters(name: str) -> dict[str, object]:
    """Return the arguments of an initializer and their defaults, in order."""
    parameters = list(inspect.signature(INITS[name]).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.name != "generator"}
