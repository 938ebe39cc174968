"""Judge claims by number: the interval over seeds against a threshold set beforehand."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, replace

import pandas as pd

from init_bench.statistics.intervals import ratio_interval, t_interval

Values = Callable[[pd.DataFrame], pd.Series]
"""Computes a value per seed from a table."""


SIGNED, SHARES, CORRELATIONS = (-math.inf, math.inf), (0.0, 1.0), (-1.0, 1.0)
"""What differences, shares and accuracies, and correlations can be."""


COLUMNS = (
    *("claim", "figure", "statement", "quantity", "value", "ci_low", "ci_high", "seeds"),
    *("steps", "threshold", "verdict", "second_quantity", "second_value", "note"),
)


NOT_IN_PAPER, NOT_IN_BOOK = "(not in the paper)", "(not in the book)"
"""End the statement of a claim that is ours: it is counted apart."""


@dataclass(frozen=True)
class Second:
    """Describe a number to read beside the one that decides a claim."""

    quantity: str
    frame: str
    measure: Values


@dataclass(frozen=True)
class Claim:
    """Describe a statement, the number that decides it and the range in which it holds.

    Attributes:
        measure: table → one value per seed.
        figure: name of the figure that shows it; a paper's claim has that of its picture.
        frame: name of the table that ``measure`` reads.
        low, high: the claim holds if the whole interval over seeds lies between.
        within: what the value can be; no interval ends beyond. Most values are not negative.
        second: a number to read beside the value; it decides nothing.
        note: what to mind in the measurement, or what it says that the source does not.
        note_steps: training steps that the note speaks of, 0 where it holds for any.
        of_ratios: the values are ratios: their geometric mean counts, the interval is that of the
            logarithms.
        exact: the value does not depend on the seed: one run decides.
    """

    name: str
    statement: str
    quantity: str
    measure: Values
    _: KW_ONLY
    figure: str = ""
    frame: str = "measured"
    low: float = -math.inf
    high: float = math.inf
    within: tuple[float, float] = (0.0, math.inf)
    second: Second | None = None
    note: str = ""
    note_steps: int = 0
    of_ratios: bool = False
    exact: bool = False


def judge(
    claims: Iterable[Claim],
    frames: dict[str, pd.DataFrame],
    steps: int = 0,
) -> pd.DataFrame:
    """Return a row per claim whose table is there: value, 95 % interval, threshold, verdict.

    The interval is Student's t over seeds, of ratios that of their logarithms; no end of it is
    beyond what the value can be. A claim *holds* if all of the interval lies within the threshold,
    *does not hold* if all of it lies outside, and is *undecided* if the interval contains the
    threshold, or if there is one seed and so no interval.

    Args:
        claims: what to judge.
        frames: tables by name.
        steps: length of the training runs, for the column of that name; a note on runs of another
            length is left out.
    """
    rows = [_row(_with_note(claim, steps), frames) for claim in claims if claim.frame in frames]
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(steps=steps)


def _with_note(claim: Claim, steps: int) -> Claim:
    """Return the claim without its note if that speaks of longer or shorter runs."""
    return claim if claim.note_steps in (0, steps) else replace(claim, note="")


def _row(claim: Claim, frames: dict[str, pd.DataFrame]) -> dict[str, object]:
    values = claim.measure(frames[claim.frame])
    mean, low, high = _interval(claim, values)
    ends = (mean, mean) if claim.exact else (low, high)
    one_seed = len(values) == 1 and not claim.exact
    holds = claim.low <= ends[0] and ends[1] <= claim.high
    undecided = one_seed or (not holds and ends[0] <= claim.high and claim.low <= ends[1])
    second = claim.second if claim.second and claim.second.frame in frames else None
    second_value = second.measure(frames[second.frame]).mean() if second else math.nan
    return {
        "claim": claim.name,
        "figure": claim.figure,
        "statement": claim.statement,
        "quantity": claim.quantity,
        "value": mean,
        "ci_low": low,
        "ci_high": high,
        "seeds": len(values),
        "threshold": _threshold(claim),
        "verdict": "holds" if holds else "undecided" if undecided else "does not hold",
        "second_quantity": second.quantity if second else "",
        "second_value": second_value,
        "note": "; ".join(_notes(claim, values, undecided, second_value)),
    }


def _interval(claim: Claim, values: pd.Series) -> tuple[float, float, float]:
    """Return the mean over seeds and its interval."""
    return ratio_interval(values) if claim.of_ratios else t_interval(values, within=claim.within)


def _notes(claim: Claim, values: pd.Series, undecided: bool, second_value: float) -> Iterator[str]:
    """Yield what to mind about a row of the table, its second number first."""
    if claim.second and math.isfinite(second_value):
        yield f"{claim.second.quantity}: {second_value:.3g}"
    if undecided:
        one = len(values) == 1
        why = "one seed gives no interval" if one else "the interval straddles the threshold"
        yield f"{why}: more seeds are needed"
    if without := int(values.isna().sum()):
        yield f"{without} of {len(values)} seeds diverged or were not measured"
    if claim.note:
        yield claim.note


def _threshold(claim: Claim) -> str:
    if math.isfinite(claim.low) and math.isfinite(claim.high):
        return f"{claim.low:g} to {claim.high:g}"
    return f">= {claim.low:g}" if math.isfinite(claim.low) else f"<= {claim.high:g}"
