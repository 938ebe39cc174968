"""The three verdicts: an interval within the threshold, outside of it, across it."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from init_bench.reproduction.claim_verdicts import CORRELATIONS, SHARES, SIGNED, Claim, judge

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


def test_a_note_on_runs_of_another_length_is_left_out() -> None:
    claim = replace(CLAIM, note="in 2000 steps it learns", note_steps=2000)
    frames = {"t": pd.DataFrame({"x": [1.0, 1.0, 1.0]})}
    told = {steps: judge([claim], frames, steps)["note"].item() for steps in (500, 2000)}
    assert told == {500: "", 2000: "in 2000 steps it learns"}
    assert judge([replace(claim, note_steps=0)], frames, 500)["note"].item() == claim.note


@pytest.mark.parametrize(
    ("within", "values", "ends"),
    [
        ((0.0, math.inf), [0.01, 0.02, 0.2], (0.0, 0.34)),
        (SHARES, [0.7, 0.9, 0.99], (0.49, 1.0)),
        (CORRELATIONS, [0.7, 0.9, 0.99], (0.49, 1.0)),
        (SIGNED, [-0.01, 0.02, 0.2], (-0.21, 0.35)),
    ],
)
def test_an_interval_ends_where_the_value_can_be(
    within: tuple[float, float], values: list[float], ends: tuple[float, float]
) -> None:
    claim = replace(CLAIM, within=within)
    row = judge([claim], {"t": pd.DataFrame({"x": values})}).iloc[0]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(ends, abs=0.01)
