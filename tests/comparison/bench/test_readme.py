"""The README of a benchmark: which seeds were taken, and that it explains the columns it shows."""

import re
from typing import Any

import pandas as pd
import pytest

from init_bench.comparison.bench.answers import COLUMNS
from init_bench.comparison.bench.outcomes import MEANS
from init_bench.comparison.bench.protocol import Protocol, protocol_from
from init_bench.comparison.bench.readme import readme_of
from init_bench.comparison.bench.tasks import TASKS

OUTCOMES = (*MEANS, "diverged", "reached", "window_decades")


def arms_with(counts: dict[str, int]) -> pd.DataFrame:
    """Return the outcomes of arms that were trained from so many seeds."""
    numbers: dict[str, Any] = {"task": "mlp", "lr": 0.1, "value": 0.5, "ci_low": 0, "ci_high": 1}
    rows = [
        {**numbers, "init": init, "outcome": outcome, "n": n}
        for init, n in counts.items()
        for outcome in OUTCOMES
    ]
    return pd.DataFrame(rows)


def readme(protocol: Protocol, counts: dict[str, int]) -> str:
    row = dict.fromkeys(COLUMNS, "x") | {"task": "mlp"}
    tasks = {"mlp": TASKS["mlp"]}
    return readme_of(tasks, pd.DataFrame([row]), arms_with(counts), None, protocol)


@pytest.mark.parametrize(
    ("seeds", "counts", "said"),
    [
        ("auto", (10, 10), "final runs 0 to 9 (auto: no task needed more); tuning"),
        ("auto", (10, 20), "final runs 0 to 9; 0 to 19 of arms that no test set apart"),
        ("auto", (10, 40), "final runs 0 to 9; 0 to 19 or 0 to 39 of arms that no test set apart"),
        (None, (10, 10), "final runs 0 to 9; tuning"),
    ],
)
def test_only_seeds_that_were_taken_are_named(
    seeds: Any, counts: tuple[int, int], said: str
) -> None:
    text = readme(protocol_from(seeds, quick=False), {"he_normal": counts[0], "zero": counts[1]})
    assert said in text


def test_what_counts_at_most_chances_loss_is_said() -> None:
    assert "the mean loss count at most chance's" in readme(Protocol(), {"he_normal": 10})


def test_every_column_that_is_explained_is_shown() -> None:
    text = readme(Protocol(), {"he_normal": 10, "zero": 10})
    (header,) = re.findall(r"^\| architecture.*$", text, flags=re.M)
    shown = [name.replace("*", "").strip() for name in header.strip("|").split("|")]
    explained = re.findall(r"\*([A-Z][^*]*)\*:", text)
    assert explained and all(name.lower() in shown for name in explained)
