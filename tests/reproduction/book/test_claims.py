"""Claims: intervals and verdicts on frames whose answer is known."""

import dataclasses
import math
from dataclasses import replace

import pandas as pd
import pytest

from init_bench.reproduction.book.claims import CLAIMS
from init_bench.reproduction.book.quantities import loss_at_best_rate
from init_bench.reproduction.claim_verdicts import Claim, Second, judge


def _claim(low: float = -math.inf, high: float = math.inf) -> Claim:
    return replace(
        CLAIMS[0], frame="t", measure=lambda frame: frame["x"], low=low, high=high, exact=False
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


@pytest.mark.parametrize("high", [0.5, 1.5], ids=["mean outside", "mean inside"])
def test_a_straddling_interval_leaves_the_claim_undecided_and_says_why(high: float) -> None:
    row = _verdict(_claim(high=high), [0.0, 1.0, 2.0])
    assert row["verdict"] == "undecided"
    assert "straddles" in row["note"]


@pytest.mark.parametrize("high", [0.5, 1.5])
def test_one_seed_is_undecided_unless_the_value_is_exact(high: float) -> None:
    row = _verdict(_claim(high=high), [1.0])
    assert row["verdict"] == "undecided"
    assert row["note"].startswith("one seed gives no interval: more seeds")
    exact = _verdict(replace(_claim(high=high), exact=True), [1.0])
    assert exact["verdict"] == ("holds" if high > 1 else "does not hold")


def test_a_measurement_of_nan_shows_nothing() -> None:
    assert _verdict(_claim(high=1.5), [math.nan, 1.0])["verdict"] == "does not hold"


def test_names_are_unique_and_every_claim_can_fail() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    assert all(math.isfinite(claim.low) or math.isfinite(claim.high) for claim in CLAIMS)


def test_the_second_number_stands_beside_the_value_and_decides_nothing() -> None:
    second = Second("the same elsewhere", "u", lambda frame: frame["x"])
    claim = dataclasses.replace(_claim(high=2.0), second=second, note="mind this")
    frames = {"t": pd.DataFrame({"x": [1.0, 1.01]}), "u": pd.DataFrame({"x": [7.0, 8.0]})}
    row = judge([claim], frames).iloc[0]
    assert (row["verdict"], row["second_value"]) == ("holds", 7.5)
    assert row["note"] == "the same elsewhere: 7.5; mind this"
    del frames["u"]
    row = judge([claim], frames).iloc[0]
    assert math.isnan(row["second_value"]) and row["second_quantity"] == ""
    assert row["note"] == "mind this"


def _cells(rates: dict[float, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"init": "he_normal", "lr": lr, "seed": seed, "final_loss": loss}
            for lr, losses in rates.items()
            for seed, loss in enumerate(losses)
        ]
    )


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ({0.1: [2.0, 2.2], 1.0: [0.3, 0.5]}, [0.3, 0.5]),
        ({0.1: [0.3, 2.2], 1.0: [0.8, 0.5]}, [0.8, 0.5]),
        ({0.1: [2.0, 2.2], 1.0: [0.1, math.nan]}, [2.0, 2.2]),
    ],
    ids=["least", "mean and not one seed", "a rate at which a seed diverged does not count"],
)
def test_the_best_rate_has_the_least_mean_loss(
    rates: dict[float, list[float]], best: list[float]
) -> None:
    assert loss_at_best_rate("he_normal")(_cells(rates)).tolist() == best


def test_where_every_rate_diverged_there_is_no_best() -> None:
    cells = _cells({0.1: [math.nan, 2.2], 1.0: [0.1, math.nan]})
    assert loss_at_best_rate("he_normal")(cells).isna().tolist() == [True, True]
