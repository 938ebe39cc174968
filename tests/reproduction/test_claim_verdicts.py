"""The three verdicts: an interval within the threshold, outside of it, across it."""

import math

import pandas as pd
import pytest

from init_bench.reproduction.claim_verdicts import Claim, judge

CLAIM = Claim(
    name="c",
    figure="f",
    statement="it is small",
    quantity="x",
    frame="t",
    measure=lambda table: table["x"],
    high=1.5,
)


def verdict(values: list[float]) -> str:
    row = judge([CLAIM], {"t": pd.DataFrame({"x": values})}).iloc[0]
    return str(row["verdict"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.99, 1.0, 1.01], "holds"),
        ([2.99, 3.0, 3.01], "does not hold"),
        ([0.0, 1.0, 2.0], "undecided"),
        ([1.0, 2.0, 3.0], "undecided"),
        ([math.nan, 1.0], "does not hold"),
        ([math.inf, 1.0], "does not hold"),
    ],
)
def test_a_claim_has_one_of_three_verdicts(values: list[float], expected: str) -> None:
    assert verdict(values) == expected
