"""Search over per-parameter scales by gradient descent; keep the best."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from init_bench.errors import InitBenchError
from init_bench.init.progress_bar import progress_bar
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Hold factors that were tried, the quantity they gave, and their rank: least is best."""

    factors: Sequence[float]
    value: float
    rank: tuple[float, ...]


def tuned(network: Network, *, weights_alone: bool = False) -> list[NamedParameter]:
    """Return the parameters whose factors are sought.

    Raises:
        InitBenchError: there are none.
    """
    found = [s for s in network.trainable() if s.role == "weight" or not weights_alone]
    if not found:
        raise InitBenchError(
            f"no {'weight' if weights_alone else 'parameter'} of this "
            f"{type(network.model).__name__} can be tuned: all are frozen, overridden or computed "
            f"by a parametrization; let one require gradients, or take an initializer that needs "
            f"no loss"
        )
    return found


def descend(
    steps: int,
    quantity: str,
    evaluate: Callable[[], tuple[Candidate, Tensor]],
    move: Callable[[Tensor], None],
) -> list[Candidate]:
    """Return what was tried: ``evaluate``, ``move`` along the objective, again and again.

    A candidate that is not finite ends the descent.

    Raises:
        InitBenchError: the first is not.
    """
    candidates: list[Candidate] = []
    with progress_bar(steps + 1, quantity) as done:
        for step in range(steps + 1):
            candidate, objective = evaluate()
            if not all(map(math.isfinite, (candidate.value, *candidate.rank))):
                break
            candidates.append(candidate)
            if step < steps:
                move(objective)
            done(1)
    if not candidates:
        raise InitBenchError(
            f"the {quantity} is {candidate.value} at the start, or its gradient is not finite; "
            f"choose another start=, or check the batch and the loss"
        )
    return candidates


def keep_best(
    network: Network,
    parameters: Sequence[NamedParameter],
    candidates: Sequence[Candidate],
    quantity: str,
) -> None:
    """Multiply the parameters, as they started, by the best factors, and say what that brought."""
    first, best = candidates[0], min(candidates, key=lambda candidate: candidate.rank)
    for parameter, factor in zip(parameters, best.factors, strict=True):
        change = f"{quantity} {first.value:.4g} → {best.value:.4g}"
        network.scale(parameter, factor, f"times {factor:.4g}: {change}")
