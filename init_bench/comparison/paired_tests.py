"""Test differences paired over seeds: sign-flip p-value, seeds that a verdict needs."""

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

from init_bench.hooks.random_streams import stream

EXACT_SEEDS = 16
"""With at most this many seeds all 2ⁿ signs are tried; with more, random ones."""


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of a mean difference of 0, nan without differences.

    If the two sides are exchangeable within a seed, each difference is as likely with the other
    sign: p is the share of all 2ⁿ signings whose mean is at least as far from 0. The least
    possible p is 2/2ⁿ. Beyond 16 seeds 2¹⁶ signings are drawn from a fixed stream.

    Source:
        Fisher, The Design of Experiments, 1935, sec. 21.

    Example:
        >>> sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 2**5
        True
    """
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return math.nan
    sums = np.abs(_signs(len(values)) @ values)
    # Signings of equal sum may differ by the rounding of their additions.
    reached = sums >= abs(values.sum()) - 1e-12 * np.abs(values).sum()
    extra = int(len(values) > EXACT_SEEDS)  # the observed signing counts too
    return float((reached.sum() + extra) / (len(sums) + extra))


def least_p(seeds: int) -> float:
    """Return the smallest p-value that ``seeds`` differences can reach in ``sign_flip_p``.

    Example:
        >>> least_p(5)
        0.0625
    """
    return 2.0 ** (1 - min(seeds, EXACT_SEEDS))


def seeds_for(tests: int, alpha: float) -> int:
    """Return how many seeds a verdict at level ``alpha`` needs if ``tests`` share it by Holm.

    Example:
        >>> seeds_for(1, 0.05), seeds_for(3, 0.05), seeds_for(36, 0.05)
        (6, 7, 11)
    """
    return next(n for n in itertools.count(1) if tests * 2.0 ** (1 - n) <= alpha)


def _signs(n: int) -> np.ndarray:
    """Return all 2ⁿ rows of signs, or as many random ones where those are too many."""
    if n <= EXACT_SEEDS:
        bits = np.arange(2**n)[:, None] >> np.arange(n)
    else:
        chosen = np.random.default_rng(stream(0, "compare/signs").initial_seed())
        bits = chosen.integers(0, 2, (2**EXACT_SEEDS, n))
    return 1.0 - 2.0 * (bits & 1)
