"""Claims: intervals and verdicts on frames whose answer is known."""

import math

import pandas as pd
import pytest

from init_bench.book.claims import CLAIMS
from init_bench.book.verdicts import Claim, judge


def _claim(low: float = -math.inf, high: float = math.inf) -> Claim:
    return Claim(
        name="c",
        figure="f",
        statement="s",
        quantity="q",
        frame="t",
        measure=lambda frame: frame["x"],
        low=low,
        high=high,
    )


def _verdict(claim: Claim, values: list[float]) -> pd.Series:
    return judge([claim], {"t": pd.DataFrame({"x": values})}).iloc[0]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 2.0, "holds"),
        (1.5, math.inf, "does not hold"),
        (-math.inf, 0.5, "does not hold"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_does(low: float, high: float, verdict: str) -> None:
    assert _verdict(_claim(low, high), [0.99, 1.0, 1.01])["verdict"] == verdict


def test_a_straddling_interval_does_not_show_the_claim_and_says_why() -> None:
    row = _verdict(_claim(high=1.5), [0.0, 1.0, 2.0])
    assert row["verdict"] == "does not hold"
    assert "straddles" in row["note"]


def test_a_measurement_of_nan_shows_nothing() -> None:
    assert _verdict(_claim(high=1.5), [math.nan, 1.0])["verdict"] == "does not hold"


def test_names_are_unique_and_every_claim_can_fail() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    assert all(math.isfinite(claim.low) or math.isfinite(claim.high) for claim in CLAIMS)
