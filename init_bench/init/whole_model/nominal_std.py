"""Look up the standard deviation that a spec aims at, and the gain inside it."""

import inspect
from typing import Any

from init_bench.init.lookup import INITS, record_of
from init_bench.init.spec import InitSpec
from init_bench.init.std_formulas import NominalStd, Size


def nominal_std(spec: InitSpec, size: Size) -> NominalStd:
    """Return gain and standard deviation that ``spec`` aims at on a weight of ``size``.

    Formula:
        std of the initializer's own definition. Of orthogonal rows or columns, as those are of
        length gain: gain / √max(rows, columns), over √positions if only the kernel's center is
        filled, times √2 if mirrored. Of a pattern of ones in a share p of the entries
        √(p (1 − p)), of a sparse one std · √(share that is not 0).

    Example:
        >>> nominal_std(InitSpec("he_normal"), Size(fan_in=8, fan_out=4, rows=4, columns=8)).std
        0.5
    """
    formula = record_of(spec.name).nominal_std
    if formula is None or not (size.rows and size.columns):
        return NominalStd()
    found = formula(arguments(spec), size)
    return found if isinstance(found, NominalStd) else NominalStd(std=float(found))


def depends_on_fans(spec: InitSpec) -> bool:
    """Return whether the std of ``spec`` is a gain over the root of a fan.

    Example:
        >>> depends_on_fans(InitSpec("he_normal")), depends_on_fans(InitSpec("normal"))
        (True, False)
    """
    small, large = (Size(fan_in=n, fan_out=n, rows=2, columns=2) for n in (1, 2))
    return nominal_std(spec, small).std != nominal_std(spec, large).std


def depends_on_sizes(spec: InitSpec) -> bool:
    """Return whether the std of ``spec`` is a rule for any sizes, not one number.

    Example:
        >>> depends_on_sizes(InitSpec("orthogonal")), depends_on_sizes(InitSpec("normal"))
        (True, False)
    """
    small, large = (Size(fan_in=n, fan_out=n, rows=n, columns=n) for n in (64, 256))
    return nominal_std(spec, small).std != nominal_std(spec, large).std


def arguments(spec: InitSpec) -> dict[str, Any]:
    """Return the arguments that ``spec`` gives, and the defaults of the others.

    Example:
        >>> arguments(InitSpec("he_normal"))["mode"]
        'fan_in'
    """
    parameters = inspect.signature(INITS[spec.name]).parameters.values()
    return {p.name: p.default for p in parameters} | dict(spec.arguments)


def has_all_defaults(spec: InitSpec) -> bool:
    """Return whether ``spec`` leaves out no argument that its initializer cannot do without.

    Example:
        >>> has_all_defaults(InitSpec("he_normal")), has_all_defaults(InitSpec("sparse"))
        (True, False)
    """
    parameters = list(inspect.signature(INITS[spec.name]).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return all(p.default is not p.empty or p.name in dict(spec.arguments) for p in positional)


def distribution_of(spec: InitSpec) -> str | None:
    """Return the kind of distribution that the entries of ``spec`` are drawn from, if stated.

    Example:
        >>> distribution_of(InitSpec("he_normal")), distribution_of(InitSpec("orthogonal"))
        ('normal', None)
    """
    stated = record_of(spec.name).distribution
    return stated and arguments(spec).get("distribution", stated)
