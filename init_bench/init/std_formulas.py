"""State the standard deviation that each initializer of one tensor aims at.

Every function here takes the initializer's arguments and the size of a weight. ``init.menu`` says
which initializer has which.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import calculate_gain


@dataclass(frozen=True, kw_only=True)
class Size:
    """Describe a weight: fans (nan of a bias), sides as a matrix, positions of its kernel."""

    fan_in: float
    fan_out: float
    rows: int
    columns: int
    positions: int = 1


@dataclass(frozen=True, kw_only=True)
class NominalStd:
    """Gain and standard deviation of the entries; ``None`` where an initializer states none.

    The standard deviation is √(E[w²] − E[w]²) over entries and draws: of a constant it is 0, of
    a fixed pattern such as ``dirac`` that of the pattern's own entries, zeros included, of
    orthogonal matrices, whose entries have mean 0, their root mean square.
    """

    gain: float | None = None
    std: float | None = None


Formula = Callable[[Mapping[str, Any], Size], NominalStd | float]
"""A nominal std from arguments (defaults included) and size; a number is a std without a gain."""


def constant(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State that every entry is the same."""
    return NominalStd(std=0.0)


def normal(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the argument ``std``."""
    return NominalStd(std=float(given["std"]))


def uniform(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of U(a, b)."""
    return NominalStd(std=(given["b"] - given["a"]) / math.sqrt(12))


def trunc_normal(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of a normal distribution cut at ``a`` and ``b``."""
    mean, std = given["mean"], given["std"]
    if not std:
        return NominalStd(std=0.0)
    low, high = ((given[end] - mean) / std for end in ("a", "b"))
    density = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if not mass:
        return NominalStd()
    shift = (density[0] - density[1]) / mass
    return NominalStd(
        std=std * math.sqrt(1 + (low * density[0] - high * density[1]) / mass - shift**2)
    )


def lecun(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State 1 / √fan_in."""
    return NominalStd(gain=1.0, std=1 / math.sqrt(size.fan_in))


def xavier(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State gain · √(2 / (fan_in + fan_out))."""
    gain = float(given["gain"])
    return NominalStd(gain=gain, std=gain * math.sqrt(2 / (size.fan_in + size.fan_out)))


def he(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State gain / √fan, with the gain of the nonlinearity."""
    gain = calculate_gain(given["nonlinearity"], given["a"])
    return NominalStd(gain=gain, std=gain / math.sqrt(_fan(given["mode"], size)))


def variance_scaling(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State √(scale / fan)."""
    gain = math.sqrt(given["scale"])
    return NominalStd(gain=gain, std=gain / math.sqrt(_fan(given["mode"], size)))


def orthogonal(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of orthonormal rows or columns of length ``gain``."""
    gain = float(given["gain"])
    return NominalStd(gain=gain, std=abs(gain) / math.sqrt(max(size.rows, size.columns)))


def delta_orthogonal(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of an orthogonal matrix at the kernel's center and zeros around it."""
    gain = float(given["gain"])
    return NominalStd(gain=gain, std=abs(gain) / math.sqrt(size.rows * size.positions))


def looks_linear(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of a weight whose quarters are orthogonal, of half as many rows."""
    gain = float(given["gain"])
    return NominalStd(gain=gain, std=abs(gain) / math.sqrt(max(size.rows, size.columns) / 2))


def tanh_init(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of a one in each row, and noise."""
    share = 1 / size.columns
    return NominalStd(std=math.sqrt(share * (1 - share) + given["noise"] ** 2 / size.columns))


def identity(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of a diagonal of ``gain`` and zeros."""
    ones = min(size.rows, size.columns // size.positions)
    return _pattern(given.get("gain", 1.0), ones, size)


def dirac(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of a diagonal of ones per group and zeros."""
    groups = given["groups"]
    ones = groups * min(size.rows // groups, size.columns // size.positions)
    return _pattern(1.0, ones, size)


def _pattern(gain: float, ones: int, size: Size) -> NominalStd:
    share = ones / (size.rows * size.columns)
    return NominalStd(gain=float(gain), std=abs(gain) * math.sqrt(share * (1 - share)))


def sparse(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State the std of normal draws of which a share is set to 0."""
    left = 1 - math.ceil(given["sparsity"] * size.rows) / size.rows
    return NominalStd(std=given["std"] * math.sqrt(left))


def critical(given: Mapping[str, Any], size: Size) -> NominalStd:
    """State √(σ_w² / fan_in) at the critical point; of a bias σ_b."""
    sigma_b2 = float(given["sigma_b2"])
    if math.isnan(size.fan_in):  # a bias
        return NominalStd(std=math.sqrt(sigma_b2))
    gain = math.sqrt(critical_line(given["nonlinearity"], sigma_b2=sigma_b2))
    return NominalStd(gain=gain, std=gain / math.sqrt(size.fan_in))


def _fan(mode: str, size: Size) -> float:
    average = (size.fan_in + size.fan_out) / 2
    return {"fan_in": size.fan_in, "fan_out": size.fan_out, "fan_avg": average}[mode]
