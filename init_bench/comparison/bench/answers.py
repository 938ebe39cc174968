"""Say for each architecture what to use and what to avoid, by how much, from how many runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from init_bench.comparison.bench.outcomes import by_seed, value_of
from init_bench.comparison.bench.tasks import Task
from init_bench.statistics.all_pairs import all_pairs, not_shown_worse
from init_bench.statistics.ranks import Ranking, ranking

MARGIN = 0.02
"""Two arms differ only if their losses are at least 2 % apart: less matters to nobody."""


FAR = 0.1
"""An arm is to be avoided if its mean is worse than the best by this share of chance's loss."""


COLUMNS = (
    *("architecture", "task", "use", "verdict", "loss", "avoid", "loss_of_avoided"),
    *("worse_by", "arms", "runs", "seeds"),
)


def pairs_of_arms(task: Task, runs: pd.DataFrame, *, looks: int = 1) -> pd.DataFrame:
    """Return the tests of all pairs of a task's arms on their final losses."""
    pairs = all_pairs(by_seed(runs), margin=MARGIN, looks=looks)
    pairs.insert(0, "task", task.name)
    return pairs


@dataclass(frozen=True)
class Answer:
    """Hold the arms of a task that nothing beats, and those to avoid."""

    use: list[str]
    avoid: list[str]

    @property
    def verdict(self) -> str:
        """Return ``best alone``, or ``no difference`` among several."""
        return "best alone" if len(self.use) == 1 else "no difference"


def answer_of(runs: pd.DataFrame, pairs: pd.DataFrame, chance: float) -> Answer:
    """Return the answer of one task from its runs and the tests of all pairs."""
    best = _best(by_seed(runs).mean(), pairs)
    worse = pairs[(pairs["a"] == best) & (pairs["verdict"] == "differs")]
    far = worse[worse["difference"] >= FAR * chance].sort_values("difference", ascending=False)
    return Answer(not_shown_worse(pairs, best), list(far["b"]))


def undecided(runs: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """Return the best arm and those that more seeds may set apart from it, empty without any.

    A pair whose interval leaves no room for a difference that matters is decided.
    """
    means = by_seed(runs).mean()
    best = _best(means, pairs)
    # An interval of one common seed is nan, which decides nothing.
    decided = pairs["ci_high"] <= MARGIN * means[best]
    arms = not_shown_worse(pairs[~decided], best)
    return arms if len(arms) > 1 else []


def _best(means: "pd.Series[float]", pairs: pd.DataFrame) -> str:
    """Return the arm with the lowest mean, of those that no other is shown to beat.

    One that was set apart has fewer seeds, and its mean may be lower by chance.
    """
    order = means.sort_values(kind="stable").index
    beaten = set(pairs.loc[pairs["verdict"] == "differs", "b"])
    return str(next((arm for arm in order if arm not in beaten), order[0]))


def summary_of(
    tasks: Mapping[str, Task],
    runs: pd.DataFrame,
    pairs: pd.DataFrame,
    arms: pd.DataFrame,
    chances: Mapping[str, float],
) -> pd.DataFrame:
    """Return a row per architecture: what to use, what to avoid, by how much, from how many runs.

    ``use`` lists the arms that nothing beats, the lowest loss first; ``avoid`` those that are shown
    to be worse and whose mean is worse by a tenth of chance's loss or more, the worst first.
    ``loss`` is that of the first of ``use`` with its 95 % interval, ``loss_of_avoided`` the range
    of those to avoid, ``worse_by`` the difference of the best of them from the best of all with the
    interval that holds for all pairs. ``seeds`` says how many an arm has: ``10 to 40`` where some
    were given more.
    """
    rows = []
    for name, task in tasks.items():
        own, tests = runs[runs["task"] == name], pairs[pairs["task"] == name]
        answer = answer_of(own, tests, chances[name])
        means = by_seed(own).mean()
        bad = [means[arm] for arm in answer.avoid]
        rows.append(
            {
                "architecture": task.architecture,
                "task": name,
                "use": ", ".join(answer.use),
                "verdict": answer.verdict,
                "loss": "{:#.3g} [{:#.3g}, {:#.3g}]".format(
                    *value_of(arms, name, answer.use[0], "final_loss")
                ),
                "avoid": ", ".join(answer.avoid),
                "loss_of_avoided": f"{min(bad):#.3g} to {max(bad):#.3g}" if bad else "",
                "worse_by": _worse_by(tests, answer),
                "arms": own["init"].nunique(),
                "runs": len(own),
                "seeds": seed_counts(own),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def seed_counts(runs: pd.DataFrame) -> str:
    """Return how many seeds the arms of one task have."""
    counts = runs.groupby("init")["seed"].nunique()
    few, many = counts.min(), counts.max()
    return str(many) if few == many else f"{few} to {many}"


def _worse_by(tests: pd.DataFrame, answer: Answer) -> str:
    """Return how far the best arm to avoid is behind the best, empty where there is none."""
    if not answer.avoid:
        return ""
    row = tests[(tests["a"] == answer.use[0]) & (tests["b"] == answer.avoid[-1])].iloc[0]
    return f"{row['difference']:#.3g} [{row['ci_low']:#.3g}, {row['ci_high']:#.3g}]"


def ranking_of(runs: pd.DataFrame) -> Ranking | None:
    """Return the ranking over tasks of the arms that all tasks have; ``None`` for fewer than two.

    Example:
        >>> ranking_of(pd.DataFrame(columns=["task", "init", "final_loss"])) is None
        True
    """
    means = runs.pivot_table(index="task", columns="init", values="final_loss", aggfunc="mean")
    common = means.dropna(axis="columns")
    return ranking(common) if common.shape[1] > 1 else None
