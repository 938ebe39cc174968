"""State the protocol that every arm of every task goes through."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from init_bench.errors import InitBenchError
from init_bench.statistics.planned_looks import planned_looks
from init_bench.training.seeds_argument import AUTO, FEWEST_OF_INTERVAL, seeds_from

FIRST_TUNING_SEED = 1_000_000
"""Rates are chosen on seeds from here on, which no final run uses."""


TRAINS = 0.8
"""A rate trains if the loss at the end of a short run is below this share of chance's."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Hold how arms are tuned and how often they are trained.

    Attributes:
        seeds: of the final runs; where seeds are added, those of the first look.
        adds_seeds: whether arms that are not set apart have seeds added.
        tuning_seeds: how many seeds rates are chosen on.
        shares: steps of the two rounds of tuning, as shares of a final run's.
        kept: rates that reach the second round.
        widenings: how often a grid is widened whose best rate is at its end, by two rates each.
        step_share: steps of a final run, as a share of the task's.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    tuning_seeds: int = 3
    shares: tuple[float, float] = (0.25, 0.5)
    kept: int = 3
    widenings: int = 2
    step_share: float = 1.0
    adds_seeds: bool = False

    @property
    def looks(self) -> tuple[tuple[int, ...], ...]:
        """The seeds of each look at the final runs; those of one begin with those of the last."""
        if not self.adds_seeds:
            return (self.seeds,)
        return tuple(tuple(range(count)) for count in planned_looks(len(self.seeds)))

    @property
    def is_quick(self) -> bool:
        """Whether final runs are cut short: an answer then is a first look."""
        return self.step_share < 1

    @property
    def seeds_of_tuning(self) -> tuple[int, ...]:
        """The seeds that rates are chosen on."""
        return tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + self.tuning_seeds))

    def steps(self, task_steps: int) -> tuple[int, int, int]:
        """Return the steps of both rounds of tuning and of a final run."""
        whole = max(1, round(task_steps * self.step_share))
        first, second = (max(1, round(whole * share)) for share in self.shares)
        return first, second, whole

    def trained_steps(self, task_steps: int, rates: int) -> int:
        """Return the steps of all runs of one arm, without widening."""
        first, second, whole = self.steps(task_steps)
        tuned = self.tuning_seeds * (first * rates + second * min(self.kept, rates))
        return tuned + whole * len(self.seeds)


QUICK = Protocol(seeds=tuple(range(5)), tuning_seeds=2, kept=2, widenings=0, step_share=0.25)


Seeds = int | Iterable[int] | Literal["auto"] | None
"""The argument ``seeds`` of a benchmark."""


def protocol_from(seeds: Seeds, *, quick: bool) -> Protocol:
    """Return the protocol of a call.

    Raises:
        InitBenchError: fewer than two seeds, or seeds that are none.

    Example:
        >>> protocol_from(5, quick=False).seeds, len(protocol_from(None, quick=True).seeds)
        ((0, 1, 2, 3, 4), 5)
        >>> [len(seeds) for seeds in protocol_from("auto", quick=False).looks]
        [10, 20, 40]
    """
    usual = QUICK if quick else Protocol()
    if seeds is None:
        return usual
    if isinstance(seeds, str) and seeds == AUTO:
        return replace(usual, adds_seeds=True)
    chosen = seeds_from(seeds, minimum=FEWEST_OF_INTERVAL, auto=True)
    if max(chosen) >= FIRST_TUNING_SEED:
        raise InitBenchError(
            f"seeds must be below {FIRST_TUNING_SEED}, from where on rates are tuned; got {seeds!r}"
        )
    return replace(usual, seeds=chosen)
