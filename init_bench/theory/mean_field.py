"""Compute signal propagation in a wide random network: maps, fixed points, depth scales."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from init_bench.activations.moments import GaussianMoments, Phi
from init_bench.activations.quadrature import Array
from init_bench.errors import check_finite

_LENGTHS = 2.0 ** np.arange(1, 41)
"""Lengths above 1 and, one over them, below, where a fixed point is looked for."""


@dataclass(frozen=True, kw_only=True)
class MeanField:
    """Describe a network of infinite width: W_ij ~ N(0, σ_w² / fan_in), b_i ~ N(0, σ_b²), z = φ(a).

    Its pre-activations are Gaussian over units: of one input with variance q (the length), of
    two with correlation c.

    Attributes:
        activation: φ: a name on the menu, an ``Activation``, or an elementwise function of a
            tensor.
        sigma_w2: fan_in times the variance of the weights.
        sigma_b2: variance of the biases.

    Raises:
        InitBenchError: φ is unknown, or a variance is negative or not finite.

    Source:
        Poole et al., Exponential expressivity in deep neural networks through transient chaos,
        2016; Schoenholz et al., Deep information propagation, 2017.

    Example:
        >>> net = MeanField(activation="tanh", sigma_w2=4.0, sigma_b2=0.05)
        >>> round(net.q_star, 3), round(net.c_star, 3), round(net.chi_1, 3)
        (2.195, 0.165, 1.342)
    """

    activation: Phi
    sigma_w2: float
    sigma_b2: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self.sigma_w2, "sigma_w2", minimum=0)
        check_finite(self.sigma_b2, "sigma_b2", minimum=0)
        _ = self.nonlinearity

    @cached_property
    def nonlinearity(self) -> GaussianMoments:
        """Return φ in float64 with its moments."""
        return GaussianMoments(self.activation)

    def length_map(self, q: ArrayLike) -> Array:
        """Return σ_w² E[φ(√q z)²] + σ_b², the length one layer on."""
        return self.sigma_w2 * self.nonlinearity.second_moment(q) + self.sigma_b2

    def correlation_map(self, c: ArrayLike, q: float | None = None) -> Array:
        """Return the correlation one layer on of two inputs of length ``q`` (default: q*)."""
        q = self._q if q is None else q
        length = float(self.length_map(q))
        one = np.vectorize(lambda c: self._covariance(q, c) / length, otypes=[float])
        return np.asarray(one(c))

    @cached_property
    def q_star(self) -> float:
        """Return the limit of the length map from q = 1; 0 or inf if it has none between."""
        now = float(self.length_map(1.0)) - 1
        if abs(now) < 1e-12:
            return 1.0
        lengths = _LENGTHS if now > 0 else 1 / _LENGTHS
        turned = (self.length_map(lengths) - lengths) * np.sign(now) < -1e-12 * lengths
        if not turned.any():
            return math.inf if now > 0 else 0.0
        ends = np.log([1.0, lengths[turned.argmax()]])
        return math.exp(
            _root(lambda log: float(self.length_map(math.exp(log))) - math.exp(log), *ends)
        )

    @cached_property
    def chi_1(self) -> float:
        """Return χ₁ = σ_w² E[φ'(√q* z)²]: below 1 gradients vanish and inputs become alike; above 1
        gradients explode and inputs become unlike."""
        return float(self.sigma_w2 * self.nonlinearity.slope_moment(self._q))

    @cached_property
    def c_star(self) -> float:
        """Return the correlation that two inputs end with: 1 if χ₁ <= 1, less in the chaotic phase.

        The correlation map is a power series in c without negative terms: convex on [0, 1], it
        has besides 1 at most one fixed point there, and that one only where χ₁ > 1.
        """
        if self.chi_1 <= 1 + 1e-9:
            return 1.0
        length = float(self.length_map(self._q))

        def growth(log: float) -> float:
            """Return the log of the factor by which 1 - c = exp(log) grows in one layer."""
            own = self._q * math.exp(log)
            return math.log(self.sigma_w2 * self.nonlinearity.spread(self._q, own) / length) - log

        near = math.log(1e-12)
        if growth(near) <= 0:
            return 1.0
        # Odd φ without biases: the map is 0 at 0, and there is nothing below to bracket.
        return 1 - math.exp(_root(growth, near, 0.0)) if growth(0.0) < -1e-12 else 0.0

    @cached_property
    def xi_q(self) -> float:
        """Return ξ_q = 1 / \\|log ∂q'/∂q\\|: layers in which q − q* changes e-fold."""
        return _scale(float(self.sigma_w2 * self.nonlinearity.growth(self._q)))

    @cached_property
    def xi_c(self) -> float:
        """Return ξ_c = 1 / \\|log ∂c'/∂c\\| at c*: layers in which c − c* falls e-fold."""
        slope = self.nonlinearity.slope_kernel(self._q, self.c_star)
        return _scale(self.sigma_w2 * slope)

    @property
    def xi_gradient(self) -> float:
        """Return 1 / \\|log χ₁\\|: layers in which the gradient's mean square changes e-fold."""
        return _scale(self.chi_1)

    @property
    def _q(self) -> float:
        """Return q*, or a length so small or large that it stands for the limit."""
        return min(max(self.q_star, 1e-20), 1e20)

    def _covariance(self, q: float, c: float) -> float:
        return self.sigma_w2 * self.nonlinearity.kernel(q, c) + self.sigma_b2


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq  # here: it takes 0.3 s to load

    return float(brentq(f, low, high, xtol=1e-13))


def _scale(slope: float) -> float:
    """Return 1 / |log slope|: infinite at 1, 0 at 0."""
    if abs(slope - 1) < 1e-9:
        return math.inf
    return 1 / abs(math.log(slope)) if slope > 0 else 0.0
