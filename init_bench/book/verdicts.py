"""A claim of the book's section and how it is judged."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from init_bench.statistics.intervals import t_interval

COLUMNS = (
    *("claim", "figure", "statement", "quantity", "value", "ci_low", "ci_high", "seeds"),
    *("steps", "threshold", "verdict", "note"),
)


Values = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement, the number that decides it and the range in which it holds.

    Attributes:
        frame: which table ``measure`` reads: ``look`` (five layers at the start), ``cells``,
            ``curves``, ``layers``, ``neuron``.
        measure: table → one value per seed.
        low, high: the claim holds where the whole interval over seeds lies between.
        note: where the measurement needs care, or says something else than the book.
    """

    name: str
    figure: str
    statement: str
    quantity: str
    frame: str
    measure: Values
    low: float = -math.inf
    high: float = math.inf
    note: str = ""


def judge(claims: Iterable[Claim], frames: dict[str, pd.DataFrame], steps: int = 0) -> pd.DataFrame:
    """Return a row per claim whose table is there: value, 95 % interval, threshold, verdict.

    ``steps`` says how long the runs were that the claims are judged on.

    The interval is Student's t over seeds. A claim holds where all of the interval lies within
    the threshold; an interval that straddles it does not show the claim, and the note says so.
    """
    rows = [_row(claim, frames[claim.frame]) for claim in claims if claim.frame in frames]
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(steps=steps)


def _row(claim: Claim, frame: pd.DataFrame) -> dict[str, object]:
    values = claim.measure(frame)
    mean, low, high = t_interval(values)
    ends = (mean, mean) if len(values) < 2 else (low, high)
    holds = claim.low <= ends[0] and ends[1] <= claim.high
    straddles = not holds and claim.low <= mean <= claim.high
    care = ["the interval straddles the threshold: more seeds are needed"] if straddles else []
    without = int(values.isna().sum())
    care += [f"{without} of {len(values)} seeds diverged or were not measured"] if without else []
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
        "verdict": "holds" if holds else "does not hold",
        "note": "; ".join([*care, claim.note] if claim.note else care),
    }


def _threshold(claim: Claim) -> str:
    if math.isfinite(claim.low) and math.isfinite(claim.high):
        return f"{claim.low:g} to {claim.high:g}"
    return f">= {claim.low:g}" if math.isfinite(claim.low) else f"<= {claim.high:g}"
