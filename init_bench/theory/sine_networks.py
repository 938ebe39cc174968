"""Compute the length at which signals settle in a network of sines."""

import math

from init_bench.errors import InitBenchError, check_finite


def sine_length(sigma_w2: float = 2.0) -> float:
    """Return q, the variance at which the pre-activations of a sine network settle.

    Formula:
        q = σ_w² (1 − e^(−2q)) / 2, as E[sin²(√q z)] = (1 − e^(−2q)) / 2 for z ~ N(0, 1). SIREN's
        weights are U(±√(6/n)): σ_w² = 2 and q = 0.7968, a standard deviation of 0.8926.

    Args:
        sigma_w2: fan_in times the variance of the weights. Up to 1 the signal dies out.

    Raises:
        InitBenchError: ``sigma_w2`` is negative or not finite, or at most 1: q is then 0.

    Source:
        Sitzmann et al., Implicit neural representations with periodic activation functions, 2020
        (the weights); the fixed point from the formula.

    Example:
        >>> round(math.sqrt(sine_length()), 4)
        0.8926
    """
    if check_finite(sigma_w2, "sigma_w2", minimum=0) <= 1:
        raise InitBenchError(f"sigma_w2={sigma_w2:g}: up to 1 a sine network's signal dies out")

    def excess(q: float) -> float:
        return -math.expm1(-2 * q) * sigma_w2 / 2 - q

    # Near 0 the map is σ_w² (q − q²): it is above q up to (σ_w² − 1) / σ_w².
    from scipy.optimize import brentq  # here: it takes 0.3 s to load

    return float(brentq(excess, 0.5 * (sigma_w2 - 1) / sigma_w2, sigma_w2, xtol=1e-15))
