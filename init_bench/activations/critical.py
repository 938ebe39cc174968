"""Compute the critical point (edge of chaos): the weight variance at which gradients neither grow
nor shrink, and two inputs become neither more nor less alike."""

import numpy as np

from init_bench.activations.moments import GaussianMoments, Phi
from init_bench.activations.quadrature import Array
from init_bench.errors import InitBenchError, check_finite

_LENGTHS = np.logspace(-12, 12, 49)
"""Where a fixed point of the length map is looked for."""


_NO_BIAS = 1e-17
"""A bias variance below this counts as 0: its fixed point would be below ``_LENGTHS``."""


_SMALL = 1e-4
"""A signal this small shows whether it grows from 0."""


_NEUTRAL = 1 + 1e-9
"""Slope of the length map up to which its fixed point does not repel, rounding allowed for."""


def critical_line(activation: Phi, *, sigma_b2: float = 0.0) -> float:
    """Return σ_w² of the critical point at bias variance ``sigma_b2``: there χ₁ = 1.

    Formula:
        q = σ_w² E[φ(√q z)²] + σ_b² and σ_w² E[φ'(√q z)²] = 1, z ~ N(0, 1). Weights have variance
        σ_w² / fan_in, biases σ_b². The fixed point q must not repel: a network that leaves it
        layer by layer is not critical, though χ₁ is 1 at that point. That is so for gelu, silu
        and mish at small σ_b².

    Raises:
        InitBenchError: there is no such point. Softplus has none; relu, leaky_relu and identity
            have one at σ_b² = 0 alone, where it is σ_w² = 1 / E[φ'²] for any q.

    Source:
        Poole et al., Exponential expressivity in deep neural networks through transient chaos,
        2016; Schoenholz et al., Deep information propagation, 2017; for other φ: Hayou et al.,
        On the impact of the activation function on deep neural networks training, 2019.

    Example:
        >>> round(critical_line("tanh", sigma_b2=0.05), 6), round(critical_line("relu"), 6)
        (1.760955, 2.0)
    """
    phi, sigma_b2 = GaussianMoments(activation), check_finite(sigma_b2, "sigma_b2", minimum=0)
    if sigma_b2 < _NO_BIAS and phi.phi(np.zeros(1)).item() == 0:
        found = _at_the_origin(phi)
    else:
        found = _at_a_length(phi, sigma_b2)
    if found is None:
        raise InitBenchError(
            f"activation {activation!r} has no critical point at sigma_b2={sigma_b2:g} "
            f"that signals do not run away from; {_elsewhere(phi)}"
        )
    return found


def _at_the_origin(phi: GaussianMoments) -> float | None:
    """Return 1 / E[φ'²] as q → 0, or ``None`` if q grows from there."""
    slope = float(phi.slope_moment(1e-20))
    if slope == 0:
        return None
    sigma_w2 = 1 / slope
    return sigma_w2 if sigma_w2 * phi.second_moment(_SMALL) <= _SMALL * _NEUTRAL else None


def _at_a_length(phi: GaussianMoments, sigma_b2: float) -> float | None:
    """Return σ_w² of the smallest fixed point that is critical and does not repel."""
    from scipy.optimize import brentq  # here: it takes 0.3 s to load

    above = _bias_variance(phi, _LENGTHS) > sigma_b2
    for at in np.flatnonzero(above[1:] & ~above[:-1]):
        low, high = np.log(_LENGTHS[at : at + 2])
        q = np.exp(brentq(lambda log: _bias_variance(phi, np.exp(log)) - sigma_b2, low, high))
        slope = phi.slope_moment(q)
        if phi.growth(q) <= slope * _NEUTRAL:
            return float(1 / slope)
    return None


def _bias_variance(phi: GaussianMoments, q: Array) -> Array:
    """Return the σ_b² for which q is critical, -inf where φ is flat; rounding of q counts as 0."""
    length, slope = phi.second_moment(q), phi.slope_moment(q)
    found = q - np.divide(length, slope, out=np.full_like(slope, np.inf), where=slope > 0)
    return np.where(np.abs(found) < 1e-12 * q, 0.0, found)


def _elsewhere(phi: GaussianMoments) -> str:
    """Return advice: the smallest σ_b² found at which ``phi`` has a critical point."""
    q = _LENGTHS[_LENGTHS >= _SMALL]
    bias = _bias_variance(phi, q)
    stays = (phi.growth(q) <= phi.slope_moment(q) * _NEUTRAL) & (bias >= 0)
    if not stays.any():
        return "it has none at any sigma_b2: keep its signal level with exact gains or lsuv"
    at = int(np.argmin(np.where(stays, bias, np.inf)))
    sigma_w2 = 1 / float(phi.slope_moment(q[at]))
    return f"it has one at sigma_b2={bias[at]:.3g} (sigma_w2={sigma_w2:.4g}), for example"
