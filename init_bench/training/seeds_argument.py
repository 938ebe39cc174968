"""Read the argument ``seeds``: a count, or the seeds themselves."""

import operator
from collections.abc import Iterable
from typing import Literal

from init_bench.errors import InitBenchError

AUTO: Literal["auto"] = "auto"
"""Seeds are added until the differences are clear, or a limit is reached."""


FEWEST_OF_INTERVAL = 2
"""Fewest seeds over which there is an interval."""


FEWEST_TO_RANK = 3
"""Fewest seeds from which initializers are ranked."""


def seeds_from(
    seeds: int | Iterable[int], *, minimum: int = 1, auto: bool = False
) -> tuple[int, ...]:
    """Return the seeds: 0 … n-1 for a count n, else those given.

    Args:
        seeds: a count, or distinct integers from 0.
        minimum: the fewest seeds allowed.
        auto: whether the caller allows ``"auto"`` too, which a refusal then names.

    Raises:
        InitBenchError: too few seeds, one given twice, or something that is no seed.

    Example:
        >>> seeds_from(3), seeds_from([7, 5])
        ((0, 1, 2), (7, 5))
    """
    try:
        given = tuple(seeds) if isinstance(seeds, Iterable) else range(operator.index(seeds))
        numbers = tuple(operator.index(seed) for seed in given)
    except TypeError:
        raise _refusal(seeds, minimum, auto) from None
    is_bool = isinstance(seeds, bool) or any(isinstance(seed, bool) for seed in given)
    if is_bool or len(numbers) < minimum or min(numbers, default=0) < 0:
        raise _refusal(seeds, minimum, auto)
    if len(set(numbers)) < len(numbers):
        raise InitBenchError(f"seeds must be distinct, got {seeds!r}")
    return numbers


def _refusal(seeds: object, minimum: int, auto: bool) -> InitBenchError:
    return InitBenchError(
        f"seeds must be a count, such as 5, {f'{AUTO!r}, ' * auto}or distinct integers from 0, "
        f"such as [0, 1, 2]: at least {minimum}; got {seeds!r}"
    )
