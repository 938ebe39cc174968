"""Predict the singular values of a wide network's Jacobian, for Gaussian or orthogonal weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from init_bench.activations.quadrature import Array, gaussian_mean
from init_bench.errors import check_int, lookup
from init_bench.theory.mean_field import MeanField

WEIGHTS = {"gaussian": 1, "orthogonal": 0}
"""Kinds of weights, and the power of 1 + m that each layer's own spectrum adds."""


@dataclass(frozen=True)
class JacobianSpectrum:
    """Describe the squared singular values s² of an input-output Jacobian in the limit of width.

    Attributes:
        mean: mean of s², which is the mean square gain of a gradient.
        variance: variance of s²: 0 where all directions are treated alike.
        largest: the largest s².
    """

    mean: float
    variance: float
    largest: float


def jacobian_spectrum(net: MeanField, depth: int, *, weights: str = "gaussian") -> JacobianSpectrum:
    """Return mean, variance and edge of the Jacobian's squared singular values.

    Formula:
        J = Π D_l W_l, D_l = diag φ'(a_l), all layers square, as wide as one likes, and at the
        fixed point q*. With μ_k = E[φ'^(2k)], χ = σ_w² μ_1, and s = 1 for Gaussian weights, 0 for
        orthogonal ones: mean χ^L; variance χ^(2L) L (μ_2/μ_1² − 1 + s). The largest is the least,
        over m > 0, of (1 + m)/m · (σ_w² (1 + m)^s d(m) m/(1 + m))^L, where E[φ'²/(d − φ'²)] = m.
        For a product of L Gaussian matrices of std 1/√n that is (L + 1)^(L + 1) / L^L.

    Args:
        net: φ, σ_w² and σ_b²; orthogonal weights have gain √σ_w².
        depth: number L of layers.
        weights: ``gaussian`` or ``orthogonal``.

    Raises:
        InitBenchError: ``depth`` is below 1, or ``weights`` is neither.

    Source:
        Pennington et al., Resurrecting the sigmoid in deep learning through dynamical isometry,
        2017 (mean and variance); the edge: the S-transforms of free probability multiplied here.

    Example:
        >>> linear = MeanField(activation="identity", sigma_w2=1.0)
        >>> found = jacobian_spectrum(linear, 4)
        >>> found.mean, found.variance, round(found.largest, 3)
        (1.0, 4.0, 12.207)
        >>> round(jacobian_spectrum(linear, 4, weights="orthogonal").largest, 6)
        1.0
    """
    layers = check_int(depth, "depth", minimum=1)
    power = lookup(WEIGHTS, weights, kind="weights")
    q = min(max(net.q_star, 1e-20), 1e20)
    slopes = _Slopes(net, q)
    mean, fourth = slopes.mean(lambda d: d), slopes.mean(lambda d: d * d)
    chi = net.sigma_w2 * mean
    variance = chi ** (2 * layers) * layers * (fourth / mean**2 - 1 + power)
    return JacobianSpectrum(chi**layers, variance, _edge(net.sigma_w2, slopes, layers, power))


class _Slopes:
    """The distribution of d = φ'(a)², a ~ N(0, q)."""

    def __init__(self, net: MeanField, q: float) -> None:
        self._net, self._std = net, math.sqrt(q)
        a = self._std * np.linspace(-8, 8, 4001)
        self.top = float((net.nonlinearity.slope(a) ** 2).max())

    def mean(self, f: Callable[[Array], Array]) -> float:
        phi = self._net.nonlinearity
        return float(gaussian_mean(lambda a: f(phi.slope(a) ** 2), self._std))

    def inverse(self, m: float) -> float:
        """Return the d above all φ'² at which E[φ'²/(d − φ'²)] = m."""

        def excess(log: float) -> float:
            d = self.top * (1 + math.exp(log))
            return math.log(self.mean(lambda slope: slope / (d - slope))) - math.log(m)

        if excess(-30.0) <= 0:  # no more mass than this near the top
            return self.top
        from scipy.optimize import brentq  # here: it takes 0.3 s to load

        return self.top * (1 + math.exp(float(brentq(excess, -30.0, 60.0, xtol=1e-12))))


def _edge(sigma_w2: float, slopes: _Slopes, layers: int, power: int) -> float:
    def log_of(log_m: float) -> float:
        m = math.exp(log_m)
        own = sigma_w2 * slopes.inverse(m) * m / (1 + m) * (1 + m) ** power
        return math.log((1 + m) / m) + layers * math.log(own)

    from scipy.optimize import minimize_scalar  # here: it takes 0.3 s to load

    found = minimize_scalar(log_of, bounds=(-15.0, 20.0), method="bounded", options={"xatol": 1e-8})
    return math.exp(float(found.fun))
