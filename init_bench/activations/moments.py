"""Compute moments of φ and φ' for Gaussian pre-activations, for any φ."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS, Activation
from init_bench.activations.quadrature import Array, gaussian_mean
from init_bench.activations.torch_others import FUNCTIONS_ALONE, TORCH_OTHERS
from init_bench.errors import InitBenchError, lookup

Phi = str | Activation | Callable[[Any], Any]
"""A nonlinearity: a name on the menu or of a function of torch's, an ``Activation``, an
``nn.Module`` or an elementwise function of a tensor. A function may have a kink at 0; one with
others is an ``Activation``."""


SMALLEST = 1e-280
"""A variance below this counts as this."""


_NEAR = 1e-10
"""Below this variance φ differs from a constant by few of its digits, or by none."""


class GaussianMoments:
    """Compute expectations of one φ and of its slope φ', in float64.

    Raises:
        InitBenchError: the name is unknown or that of no elementwise function, or ``activation`` is
            none.
    """

    def __init__(self, activation: Phi) -> None:
        if isinstance(activation, str):
            activation = _named(activation)
        kinks = activation.kinks if isinstance(activation, Activation) else ()
        self._phi = _function_of(activation)
        self._kinks = (0.0, *kinks)

    def phi(self, a: Array) -> Array:
        """Return φ(a)."""
        with torch.no_grad():
            return self._values(torch.from_numpy(a.copy())).numpy()

    def slope(self, a: Array) -> Array:
        """Return φ'(a), by autograd."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = torch.from_numpy(a.copy()).requires_grad_()
            z = self._values(leaf.clone())  # a clone: φ may work in place
            if not z.requires_grad:
                raise InitBenchError(
                    "the activation has no gradient: write it with torch's functions"
                )
            slope: Tensor = torch.autograd.grad(z.sum(), leaf)[0]
        return slope.numpy()

    def _values(self, a: Tensor) -> Tensor:
        z = self._phi(a)
        if not isinstance(z, Tensor) or z.shape != a.shape:
            got = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else repr(type(z).__name__)
            raise InitBenchError(
                f"an activation takes a tensor and returns one of the same shape; "
                f"this one returned {got} for shape {tuple(a.shape)}"
            )
        return z.double()

    def mean(self, q: ArrayLike) -> Array:
        """Return E[φ(a)], a ~ N(0, q)."""
        return self._expect(self.phi, q)

    def variance(self, q: float) -> float:
        """Return Var[φ(a)], a ~ N(0, q)."""
        if q < _NEAR:
            return self.spread(q, q)
        mean = self.mean(q)
        return float(self._expect(lambda a: (self.phi(a) - mean) ** 2, q))

    def shifted(self, mean: float, variance: float) -> tuple[float, float]:
        """Return E[φ(a)] and Var[φ(a)], a ~ N(mean, variance)."""
        std, kinks = max(variance, SMALLEST) ** 0.5, self._kinks
        first = float(gaussian_mean(self.phi, std, mean=mean, kinks=kinks))
        second = gaussian_mean(lambda a: (self.phi(a) - first) ** 2, std, mean=mean, kinks=kinks)
        return first, float(second)

    def second_moment(self, q: ArrayLike) -> Array:
        """Return E[φ(a)²], a ~ N(0, q)."""
        return self._expect(lambda a: self.phi(a) ** 2, q)

    def slope_moment(self, q: ArrayLike) -> Array:
        """Return E[φ'(a)²], a ~ N(0, q)."""
        return self._expect(lambda a: self.slope(a) ** 2, q)

    def growth(self, q: ArrayLike) -> Array:
        """Return d E[φ(a)²] / dq = E[a φ(a) φ'(a)] / q, a ~ N(0, q)."""
        return self._expect(lambda a: a * self.phi(a) * self.slope(a), q) / np.maximum(q, SMALLEST)

    def kernel(self, q: float, c: float) -> float:
        """Return E[φ(a) φ(b)], (a, b) Gaussian of variance q each and correlation c."""
        return self._kernel(self.phi, q, c)

    def slope_kernel(self, q: float, c: float) -> float:
        """Return E[φ'(a) φ'(b)] = ∂ kernel / ∂(q c)."""
        return self._kernel(self.slope, q, c)

    def spread(self, q: float, d: float) -> float:
        """Return E[φ(a)²] - E[φ(a) φ(b)], (a, b) Gaussian of variance q and covariance q - d.

        It keeps its digits however near a and b are: as the mean of Var[φ(s + noise)] given s,
        and below ``_NEAR``, where φ rounds to a constant, as the integral of φ' over d.
        """
        if d < _NEAR:
            return self._slope_integral(max(q, SMALLEST), d)
        if d > q / 2:
            return float(self.second_moment(q)) - self.kernel(q, 1 - d / q)
        own = np.sqrt(d)

        def variance(s: Array) -> Array:
            center = gaussian_mean(self.phi, own, mean=s, kinks=self._kinks)[..., None, None]
            return gaussian_mean(
                lambda a: (self.phi(a) - center) ** 2, own, mean=s, kinks=self._kinks
            )

        return float(
            gaussian_mean(variance, np.sqrt(q - d), kinks=self._kinks, finest=min(1.0, own))
        )

    def _slope_integral(self, q: float, d: float) -> float:
        """Return ∫ E[φ'(a) φ'(b)] over covariances from q - d to q, as one over their angle."""
        widest = 2 * np.arcsin(min(1.0, np.sqrt(d / (2 * q))))
        nodes, weights = np.polynomial.legendre.leggauss(8)
        angles = widest * (nodes + 1) / 2
        slopes = [self.slope_kernel(q, 1 - 2 * np.sin(angle / 2) ** 2) for angle in angles]
        return float(q * widest / 2 * (weights * np.sin(angles) * slopes).sum())

    def _expect(self, f: Callable[[Array], Array], q: ArrayLike) -> Array:
        return gaussian_mean(f, np.sqrt(np.maximum(q, SMALLEST)), kinks=self._kinks)

    def _kernel(self, f: Callable[[Array], Array], q: float, c: float) -> float:
        """Return E[f(a) f(b)] as a mean over what a and b share.

        With s ~ N(0, q \\|c\\|) and noises of their own of variance q (1 - \\|c\\|), a = s + noise
        and b = ±s + noise: given s they are independent, and the mean of f(s + noise) is smooth.
        """
        q = max(q, SMALLEST)
        shared, own = np.sqrt(q * abs(c)), np.sqrt(q * (1 - abs(c)))
        if own < 1e-9 * shared:
            return float(self._expect(lambda a: f(a) * f(np.sign(c) * a), q))
        if shared < 1e-9 * own:
            return float(self._expect(f, q)) ** 2

        def smooth(s: Array) -> Array:
            return gaussian_mean(f, own, mean=s, kinks=self._kinks)

        kinks = tuple({*self._kinks, *(-kink for kink in self._kinks)})
        return float(
            gaussian_mean(
                lambda s: smooth(s) * smooth(np.sign(c) * s),
                shared,
                kinks=kinks,
                finest=min(1.0, own),
            )
        )


def _named(name: str) -> Activation | Callable[[Tensor], Tensor]:
    """Return the elementwise function of that name, of the menu or of torch."""
    if name in FUNCTIONS_ALONE and name not in ACTIVATIONS:
        return FUNCTIONS_ALONE[name]
    if name not in TORCH_OTHERS or name in ACTIVATIONS:
        return lookup(ACTIVATIONS, name, kind="activation")
    if not TORCH_OTHERS[name].elementwise:
        raise InitBenchError(f"{name} depends on several pre-activations and has no moments of one")
    return TORCH_OTHERS[name]


def _function_of(activation: Activation | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return φ as a function of a float64 tensor on the CPU; a module's copy, for evaluation."""
    if isinstance(activation, Activation):
        activation = activation.module()
    if isinstance(activation, nn.Module):
        return copy.deepcopy(activation).to("cpu", torch.float64).eval()
    if not callable(activation):
        raise InitBenchError(
            f"an activation is a name on the menu or a function of a tensor, got {activation!r}"
        )
    return activation
