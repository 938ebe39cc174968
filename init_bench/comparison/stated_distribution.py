"""Test draws against the distribution that their initializer states."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from init_bench.init import INITS, InitSpec
from init_bench.init.std_formulas import Size
from init_bench.init.tensor_inits.fans import fans
from init_bench.init.whole_model.nominal_std import arguments, distribution_of, nominal_std
from init_bench.statistics.intervals import bernstein_half, bernstein_p

FAR = 9.0
"""A cut this many standard deviations out takes away less than 1e-18: no cut at all."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment of draws against the stated one.

    Attributes:
        value: what was found, ``low`` and ``high`` its interval.
        p: two-sided p-value of the stated moment; an upper bound where the inequality is one.
    """

    value: float
    low: float
    high: float
    p: float


def stated(spec: InitSpec, shape: tuple[int, ...]) -> Any | None:
    """Return the scipy distribution that each entry of a weight of ``shape`` is drawn from.

    ``None`` where entries are no independent draws from one continuous distribution
    (constants, orthogonal matrices, …) or where nothing is stated.

    Example:
        >>> round(float(stated(InitSpec("he_normal"), (4, 8)).std()), 3)
        0.5
    """
    if spec.name not in INITS:
        return None
    kind = distribution_of(spec)
    std = nominal_std(spec, _size(shape)).std
    return _DISTRIBUTIONS[kind](arguments(spec), std) if kind and std else None


def mean_against(entries: np.ndarray, law: Any, alpha: float) -> Moment:
    """Return (mean − stated mean) / stated std with its interval at level 1 − ``alpha``.

    Formula:
        normal: exactly N(0, 1/n). Bounded: Bernstein's inequality, which holds at every n.

    Example:
        >>> found = mean_against(np.array([-1.0, 0.5, 1.0]), stats.norm(), 0.05)
        >>> round(found.value, 3), round(found.p, 3)
        (0.167, 0.773)
    """
    n, bound = len(entries), _bound(law)
    value = float((entries.mean(dtype=np.float64) - law.mean()) / law.std())
    if math.isinf(bound):
        half = float(stats.norm.isf(alpha / 2)) / math.sqrt(n)
        p = 2 * stats.norm.sf(abs(value) * math.sqrt(n))
    else:
        half, p = bernstein_half(n, 1.0, bound, alpha), bernstein_p(n, 1.0, bound, value)
    return Moment(value=value, low=value - half, high=value + half, p=float(p))


def variance_against(entries: np.ndarray, law: Any, alpha: float) -> Moment:
    """Return mean (w − stated mean)² / stated variance with its interval at level 1 − ``alpha``.

    Formula:
        normal: exactly χ²(n)/n. Bounded: Bernstein's inequality for the squares.

    Example:
        >>> found = variance_against(np.array([-1.0, 0.5, 1.0]), stats.norm(), 0.05)
        >>> round(found.value, 3), found.low < 1 < found.high
        (0.75, True)
    """
    n, bound = len(entries), _bound(law)
    value = float(np.square((entries - law.mean()) / law.std(), dtype=np.float64).mean())
    if math.isinf(bound):
        ends = stats.chi2.isf([alpha / 2, 1 - alpha / 2], n) / n
        p = 2 * min(stats.chi2.cdf(value * n, n), stats.chi2.sf(value * n, n))
        low, high = (float(value / end) for end in ends)
        return Moment(value=value, low=low, high=high, p=min(1.0, float(p)))
    sd = math.sqrt(float(law.stats("k")) + 2)  # of squares: κ − 1, excess κ being κ − 3
    half = bernstein_half(n, sd, max(1.0, bound**2 - 1), alpha)
    p = bernstein_p(n, sd, max(1.0, bound**2 - 1), value - 1)
    return Moment(
        value=value,
        low=value / (1 + half),
        high=value / (1 - half) if half < 1 else math.inf,
        p=float(p),
    )


def _bound(law: Any) -> float:
    """Return the farthest an entry can lie from the mean in standard deviations."""
    low, high = law.support()
    return float(max(law.mean() - low, high - law.mean()) / law.std())


def _size(shape: tuple[int, ...]) -> Size:
    fan_in, fan_out = fans(torch.empty(shape, device="meta"))
    return Size(fan_in=fan_in, fan_out=fan_out, rows=shape[0], columns=math.prod(shape[1:]))


def _uniform(given: Mapping[str, Any], std: float) -> Any:
    half = math.sqrt(3) * std
    middle = (given["a"] + given["b"]) / 2 if {"a", "b"} <= set(given) else 0.0
    return stats.uniform(middle - half, 2 * half)


def _normal(given: Mapping[str, Any], std: float) -> Any:
    return stats.norm(given.get("mean", 0.0), std)


def _truncated_normal(given: Mapping[str, Any], std: float) -> Any:
    """Return the normal cut at the arguments ``a`` and ``b``, or at ±2 where it has none."""
    if not {"mean", "std", "a", "b"} <= set(given):
        return stats.truncnorm(-2, 2, 0, std / stats.truncnorm(-2, 2).std())
    mean, scale = given["mean"], given["std"]
    low, high = ((given[end] - mean) / scale for end in ("a", "b"))
    if low < -FAR and high > FAR:
        return stats.norm(mean, std)
    return stats.truncnorm(low, high, mean, scale)


_DISTRIBUTIONS: dict[str, Callable[[Mapping[str, Any], float], Any]] = {
    "normal": _normal,
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
}
"""The distributions that a record of an initializer may state."""
