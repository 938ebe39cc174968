"""Integrate E[f(a)] for a ~ N(mean, std²), accurately where f has kinks.

Gauss–Hermite quadrature converges fast for analytic f and slowly for one with a kink: its 100
nodes miss E[relu(z)] by 0.4 % and the slope moment of hardtanh by 4 %. Here the line is cut at
the kinks, and ever finer toward them, into panels on which f is smooth; Gauss–Legendre does
each of them, and what has a closed form comes out to the last digits.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


CUT = 10.0
"""Values beyond this many standard deviations, a share of 2e-23, are left out."""


FAR = 1e12
"""Beyond this f is taken to bend no more, but for what its growth asks: |a|, a², a constant."""


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


_PANELS = np.arange(-CUT, CUT + 1)


def gaussian_mean(
    f: Callable[[Array], Array],
    std: ArrayLike,
    *,
    mean: ArrayLike = 0.0,
    kinks: tuple[float, ...] = (0.0,),
    finest: float = 1.0,
) -> Array:
    """Return E[f(a)], a ~ N(mean, std²), for every pair of ``mean`` and ``std``.

    Args:
        f: elementwise; smooth but at ``kinks``, growing no faster than exp(\\|a\\|).
        std: positive.
        kinks: where f or a derivative of it jumps, and around which it bends.
        finest: the distance from a kink over which f bends: panels double from there.

    Shapes:
        ``mean`` and ``std`` broadcast; the result has their common shape.

    Example:
        >>> round(float(gaussian_mean(lambda a: np.maximum(a, 0) ** 2, std=2.0)), 12)
        2.0
    """
    mean, std = np.broadcast_arrays(np.asarray(mean, float), np.asarray(std, float))
    edges = _edges(mean[..., None], std[..., None], kinks, finest)
    half = np.diff(edges)[..., None] / 2
    z = edges[..., :-1, None] + half * (1 + _NODES)
    density = half * _WEIGHTS * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    values = f(mean[..., None, None] + std[..., None, None] * z)
    return np.asarray((density * values).sum(axis=(-2, -1)))


def _edges(mean: Array, std: Array, kinks: tuple[float, ...], finest: float) -> Array:
    """Return the panels' ends in standard deviations from ``mean``, in ascending order."""
    reach = CUT * std.max() + np.abs(mean).max() + max(map(abs, kinks))
    steps = finest * 2.0 ** np.arange(max(1, np.ceil(np.log2(min(reach, FAR) / finest))))
    around = np.concatenate([-steps, [0.0], steps])
    near = np.unique([kink + around for kink in kinks])
    near = near[(near > (mean - CUT * std).min()) & (near < (mean + CUT * std).max())]
    fine = np.clip((near - mean) / std, -CUT, CUT)
    coarse = np.broadcast_to(_PANELS, (*std.shape[:-1], len(_PANELS)))
    return np.sort(np.concatenate([coarse, fine], axis=-1), axis=-1)
