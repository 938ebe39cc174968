"""Tabulate how deep signals reach in a wide random network, over the variance of its weights."""

from collections.abc import Sequence

import pandas as pd

from init_bench.activations.moments import Phi
from init_bench.errors import check_int
from init_bench.theory.mean_field import MeanField

COLUMNS = ("sigma_w2", "q_star", "chi_1", "c_star", "xi_q", "xi_c")
"""Columns of ``depth_scales``."""


def depth_scales(
    activation: Phi, sigma_w2: Sequence[float], *, sigma_b2: float = 0.0
) -> pd.DataFrame:
    """Return fixed points and depth scales at each of several weight variances.

    Formula:
        Columns as the attributes of ``MeanField``: the length q*, χ₁ = σ_w² E[φ'²], the
        correlation c*, and ξ_q, ξ_c in layers: lengths and correlations approach q* and c* as
        exp(−l / ξ). Networks train up to a depth of about 6 ξ_c.

    Args:
        activation: φ: a name on the menu, an ``Activation``, or a function of a tensor.
        sigma_w2: fan_in times the variance of the weights, a row for each.
        sigma_b2: variance of the biases.

    Raises:
        InitBenchError: φ is unknown, or a variance is negative or not finite.

    Source:
        Schoenholz et al., Deep information propagation, 2017.

    Example:
        >>> depth_scales("tanh", [1.3, 2.5], sigma_b2=0.05)["xi_c"].round(2).tolist()
        [7.83, 11.8]
    """
    nets = [MeanField(activation=activation, sigma_w2=w2, sigma_b2=sigma_b2) for w2 in sigma_w2]
    return pd.DataFrame([[getattr(net, name) for name in COLUMNS] for net in nets], columns=COLUMNS)


def signal_path(net: MeanField, depth: int, *, q: float = 1.0, c: float = 0.0) -> pd.DataFrame:
    """Return length and correlation of the pre-activations of two inputs, layer by layer.

    Formula:
        q' = σ_w² E[φ(√q z)²] + σ_b²; c' q' = σ_w² E[φ(a) φ(b)] + σ_b², a and b Gaussian of
        variance q and correlation c.

    Args:
        net: the network of infinite width.
        depth: number of layers with weights.
        q, c: length and correlation in the first layer.

    Returns:
        ``layer`` (1 … depth), ``q``, ``c``.

    Raises:
        InitBenchError: ``depth`` is below 1.

    Source:
        Poole et al., Exponential expressivity in deep neural networks through transient chaos,
        2016.

    Example:
        >>> net = MeanField(activation="relu", sigma_w2=2.0)
        >>> signal_path(net, 3)["c"].round(4).tolist()
        [0.0, 0.3183, 0.4937]
    """
    rows = []
    for layer in range(1, check_int(depth, "depth", minimum=1) + 1):
        rows.append((layer, q, c))
        c, q = float(net.correlation_map(c, q)), float(net.length_map(q))
    return pd.DataFrame(rows, columns=["layer", "q", "c"])
