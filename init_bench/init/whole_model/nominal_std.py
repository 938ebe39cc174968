"""The standard deviation that an initialiser of one tensor aims at, and the gain inside it."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import calculate_gain
from init_bench.init.registry import ALIASES, INITS
from init_bench.init.spec import InitSpec


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a law may look at: fans, the sides of the weight as a matrix, places of its kernel."""

    fan_in: float
    fan_out: float
    rows: int
    columns: int
    places: int = 1


@dataclass(frozen=True, kw_only=True)
class Law:
    """Gain and standard deviation of the entries; ``None`` where an initialiser states none.

    The standard deviation is √(E[w²] − E[w]²) over entries and draws: of a constant it is 0, of
    a fixed pattern such as ``dirac`` that of the pattern's own entries, zeros included, of
    orthogonal matrices, whose entries have mean 0, their root mean square.
    """

    gain: float | None = None
    std: float | None = None


def law(spec: InitSpec, size: Size) -> Law:
    """Return the law of ``spec`` on a weight of ``size``.

    Formula:
        std of the initialiser's own definition. Of orthogonal rows or columns, as those are of
        length gain: gain / √max(rows, columns), over √places if only the kernel's centre is
        filled, times √2 if mirrored. Of a pattern of ones in a share p of the entries
        √(p (1 − p)), of a sparse one std · √(share that is not 0).

    Example:
        >>> law(InitSpec("he_normal"), Size(fan_in=8, fan_out=4, rows=4, columns=8)).std
        0.5
    """
    name = spec.name.removeprefix("torch.")
    rule = _LAWS.get(ALIASES.get(name, name))
    return rule(arguments(spec), size) if rule and size.rows and size.columns else Law()


def depends_on_fans(spec: InitSpec) -> bool:
    """Return whether the std of ``spec`` is a gain over the root of a fan.

    Example:
        >>> depends_on_fans(InitSpec("he_normal")), depends_on_fans(InitSpec("normal"))
        (True, False)
    """
    small, large = (Size(fan_in=n, fan_out=n, rows=2, columns=2) for n in (1, 2))
    return law(spec, small).std != law(spec, large).std


def arguments(spec: InitSpec) -> dict[str, Any]:
    """Return the arguments that ``spec`` gives, and the defaults of the others.

    Example:
        >>> arguments(InitSpec("he_normal"))["mode"]
        'fan_in'
    """
    parameters = inspect.signature(INITS[spec.name]).parameters.values()
    return {p.name: p.default for p in parameters} | dict(spec.arguments)


def _constant(given: Mapping[str, Any], size: Size) -> Law:
    return Law(std=0.0)


def _normal(given: Mapping[str, Any], size: Size) -> Law:
    return Law(std=float(given["std"]))


def _uniform(given: Mapping[str, Any], size: Size) -> Law:
    return Law(std=(given["b"] - given["a"]) / math.sqrt(12))


def _trunc_normal(given: Mapping[str, Any], size: Size) -> Law:
    """Variance of a normal distribution cut at a and b."""
    mean, std = given["mean"], given["std"]
    if not std:
        return Law(std=0.0)
    low, high = ((given[end] - mean) / std for end in ("a", "b"))
    density = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if not mass:
        return Law()
    shift = (density[0] - density[1]) / mass
    return Law(std=std * math.sqrt(1 + (low * density[0] - high * density[1]) / mass - shift**2))


def _lecun(given: Mapping[str, Any], size: Size) -> Law:
    return Law(gain=1.0, std=1 / math.sqrt(size.fan_in))


def _xavier(given: Mapping[str, Any], size: Size) -> Law:
    gain = float(given["gain"])
    return Law(gain=gain, std=gain * math.sqrt(2 / (size.fan_in + size.fan_out)))


def _he(given: Mapping[str, Any], size: Size) -> Law:
    gain = calculate_gain(given["nonlinearity"], given["a"])
    return Law(gain=gain, std=gain / math.sqrt(_fan(given["mode"], size)))


def _variance_scaling(given: Mapping[str, Any], size: Size) -> Law:
    gain = math.sqrt(given["scale"])
    return Law(gain=gain, std=gain / math.sqrt(_fan(given["mode"], size)))


def _orthogonal(given: Mapping[str, Any], size: Size) -> Law:
    gain = float(given["gain"])
    return Law(gain=gain, std=abs(gain) / math.sqrt(max(size.rows, size.columns)))


def _delta_orthogonal(given: Mapping[str, Any], size: Size) -> Law:
    gain = float(given["gain"])
    return Law(gain=gain, std=abs(gain) / math.sqrt(size.rows * size.places))


def _looks_linear(given: Mapping[str, Any], size: Size) -> Law:
    """Each quarter is orthogonal: half as many rows and columns."""
    gain = float(given["gain"])
    return Law(gain=gain, std=abs(gain) / math.sqrt(max(size.rows, size.columns) / 2))


def _identity(given: Mapping[str, Any], size: Size) -> Law:
    ones = min(size.rows, size.columns // size.places)
    return _pattern(given.get("gain", 1.0), ones, size)


def _dirac(given: Mapping[str, Any], size: Size) -> Law:
    groups = given["groups"]
    ones = groups * min(size.rows // groups, size.columns // size.places)
    return _pattern(1.0, ones, size)


def _pattern(gain: float, ones: int, size: Size) -> Law:
    share = ones / (size.rows * size.columns)
    return Law(gain=float(gain), std=abs(gain) * math.sqrt(share * (1 - share)))


def _sparse(given: Mapping[str, Any], size: Size) -> Law:
    left = 1 - math.ceil(given["sparsity"] * size.rows) / size.rows
    return Law(std=given["std"] * math.sqrt(left))


def _critical(given: Mapping[str, Any], size: Size) -> Law:
    sigma_b2 = float(given["sigma_b2"])
    if math.isnan(size.fan_in):  # a bias
        return Law(std=math.sqrt(sigma_b2))
    gain = math.sqrt(critical_line(given["nonlinearity"], sigma_b2=sigma_b2))
    return Law(gain=gain, std=gain / math.sqrt(size.fan_in))


def _fan(mode: str, size: Size) -> float:
    average = (size.fan_in + size.fan_out) / 2
    return {"fan_in": size.fan_in, "fan_out": size.fan_out, "fan_avg": average}[mode]


_LAWS: dict[str, Callable[[Mapping[str, Any], Size], Law]] = {
    **dict.fromkeys(("zeros", "ones", "constant"), _constant),
    "normal": _normal,
    "uniform": _uniform,
    "trunc_normal": _trunc_normal,
    **dict.fromkeys(("lecun_normal", "lecun_uniform"), _lecun),
    **dict.fromkeys(("xavier_normal", "xavier_uniform"), _xavier),
    **dict.fromkeys(("he_normal", "he_uniform"), _he),
    "variance_scaling": _variance_scaling,
    "orthogonal": _orthogonal,
    "delta_orthogonal": _delta_orthogonal,
    "looks_linear": _looks_linear,
    "identity": _identity,
    "dirac": _dirac,
    "sparse": _sparse,
    "critical_normal": _critical,
}
