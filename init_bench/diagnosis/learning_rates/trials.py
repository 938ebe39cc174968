"""Find the window of rates by short trials from one start, within a budget of steps."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

BUDGET = 280
"""Most steps of all trials together; curvature takes the rest of 300."""


LONGEST, LONGEST_BELOW = 60, 150
"""Most steps of a trial that looks for the upper end, and of the one that looks for the lower."""


RESERVE = 60
"""Steps of the budget that are kept for the lower end, until nothing else is left."""


SMOOTH = 5
"""Steps over which losses are averaged."""


FALLEN, BLOWN_UP, HOPELESS = 0.2, 30.0, 2.5
"""Levels of the loss, see ``Levels``. They and the other numbers here were chosen on the training
part of ``benchmarks.rate_window``."""


HELD = 20
"""Steps for which a trial that looks for the upper end goes on after its loss has fallen: a rate a
little too high makes it fall first."""


EARLIEST, PATIENCE = 10, 25
"""Steps before a trial is given up because the loss blew up, and because it stays high."""


LEVELING = 0.5
"""A high loss that the latter half of a trial did not bring down by this factor stays high."""


FURTHER = 2.0
"""Steps to the goal, as a multiple of those to the first clear fall."""


ECONOMY = 0.7
"""A lower rate takes fewer steps than in inverse proportion: it moves with less noise."""


AT_THE_EDGE = 10**-0.75
"""A rate at the upper end oscillates: extrapolated from it, the lower end comes out too high."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Hold the losses that decide a trial.

    Attributes:
        first: the loss of the start.
        chance: the loss of the best constant output; inf where none is known.
        goal: a trial that reaches it has learned.
    """

    first: float
    chance: float
    goal: float

    @property
    def reference(self) -> float:
        """The lesser of the first loss and chance: what a model reaches that learned nothing."""
        return min(self.first, self.chance)

    @property
    def fallen(self) -> float:
        """Level of the mean loss below which it has clearly fallen."""
        return self.reference - FALLEN * (self.reference - self.goal)

    @property
    def blown_up(self) -> float:
        """Level above which the loss does not come back down."""
        highest = max(self.first, self.chance if math.isfinite(self.chance) else self.first)
        return self.goal + BLOWN_UP * (highest - self.goal)

    @property
    def hopeless(self) -> float:
        """Level above which a loss that stays there will not come down in time."""
        return self.goal + HOPELESS * (self.first - self.goal)


@dataclass(kw_only=True)
class Trial:
    """Hold a short training at one rate.

    Attributes:
        lr: its rate.
        losses: before each update.
        outcome: ``falls``, ``does not fall`` or ``diverges``.
    """

    lr: float
    losses: list[float] = field(default_factory=list)
    outcome: str = "does not fall"

    @property
    def mean(self) -> float:
        """The mean of the last losses; inf before there are enough."""
        return self.mean_at(len(self.losses))

    def mean_at(self, step: int) -> float:
        """Return the mean of the losses that end at ``step``; inf before there are enough."""
        return math.inf if step < SMOOTH else sum(self.losses[step - SMOOTH : step]) / SMOOTH

    def steps_to(self, level: float) -> int | None:
        """Return the steps to a mean loss below ``level``; ``None`` if it was not reached."""
        steps = range(SMOOTH, len(self.losses) + 1)
        return next((step for step in steps if self.mean_at(step) < level), None)

    def decide(self, levels: Levels, goal: float, held: int) -> bool:
        """Set the outcome so far; return whether the trial ends, ``held`` steps after a fall."""
        step, fallen = len(self.losses), self.steps_to(goal)
        blown_up = step >= EARLIEST and self.mean > levels.blown_up
        if blown_up or not math.isfinite(self.losses[-1]):
            self.outcome = "diverges"
            return True
        if fallen:
            self.outcome = "falls"
            return step >= fallen + held
        high = step >= PATIENCE and self.mean > levels.hopeless
        return high and self.mean > LEVELING * self.mean_at(step // 2 + 1)


TrialRunner = Callable[[float, int, float, int], Trial]
"""Runs a trial at a rate, for at most so many steps, until the loss is below a level, and for so
many steps more."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """Hold what the trials found.

    Attributes:
        trials: in the order in which they were run.
        low, high: the ends of the window; nan where no rate was seen to fall.
    """

    trials: list[Trial]
    low: float = math.nan
    high: float = math.nan

    @property
    def steps(self) -> int:
        """Steps of all trials."""
        return sum(len(trial.losses) for trial in self.trials)


def search(run: TrialRunner, rates: list[float], levels: Levels, horizon: int) -> Search:
    """Return the trials and the window of ``rates`` in which ``horizon`` steps reach the goal.

    From the highest rate down, the first at which the loss falls, and does not diverge in the
    ``HELD`` steps after, is the upper end. A trial a decade below counts the steps to the goal. A
    lower rate takes more of them, in inverse proportion; the lower end is the least rate that takes
    no more than ``horizon``.
    """
    trials: list[Trial] = []
    for lr in reversed(rates):
        left = BUDGET - sum(len(trial.losses) for trial in trials)
        if left < SMOOTH:
            break
        longest = left - RESERVE if left >= RESERVE + SMOOTH else left
        trials.append(run(lr, min(LONGEST, longest), levels.fallen, HELD))
        if trials[-1].outcome == "falls":
            break
    if not trials or trials[-1].outcome != "falls":
        return Search(trials=trials)
    top = trials[-1]
    left = BUDGET - sum(len(trial.losses) for trial in trials)
    below = min(rates, key=lambda rate: abs(math.log(rate / (top.lr / 10))))
    if left >= SMOOTH:
        trials.append(run(below, min(LONGEST_BELOW, left), levels.goal, 0))
    least = ECONOMY * _rate_steps(top, trials[-1], levels) / horizon
    inside = (rate for rate in rates if least <= rate <= top.lr)
    return Search(trials=trials, low=min(inside, default=top.lr), high=top.lr)


def _rate_steps(top: Trial, below: Trial, levels: Levels) -> float:
    """Return rate times steps to the goal, at rates too low to oscillate."""
    if steps := below.steps_to(levels.goal):
        return below.lr * (steps - SMOOTH / 2)
    if steps := below.steps_to(levels.fallen):
        return below.lr * FURTHER * steps
    return AT_THE_EDGE * top.lr * FURTHER * (top.steps_to(levels.fallen) or len(top.losses))
