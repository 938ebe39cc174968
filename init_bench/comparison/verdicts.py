"""Rows → table → verdict: Holm over all tests of a question, then words."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from init_bench.comparison.measurements import (
    DEFINITIONS,
    DRAW_ALPHA,
    TIME_MARGIN,
    TRAIN_ALPHA,
    Row,
)
from init_bench.comparison.paired import holm, least_p, seeds_for
from init_bench.comparison.pairs import Pair

COLUMNS = (
    *("pair", "a", "b", "question", "setting", "quantity", "definition", "value", "ci_low"),
    *("ci_high", "p", "p_holm", "n", "verdict", "note"),
)


Record = dict[str, Any]


ALPHA = {"distribution": DRAW_ALPHA, "training": TRAIN_ALPHA, "speed": math.nan}


def judge(pairs: Sequence[Pair], rows: Iterable[Row]) -> pd.DataFrame:
    """Return a row per measured number, pair by pair, with Holm's p-value and a verdict.

    Holm's adjustment counts all tests of one question, over shapes, quantities and pairs.
    """
    rows = sorted(rows, key=lambda row: pairs.index(row.pair))
    table = pd.DataFrame([_fields(row) for row in rows], columns=list(COLUMNS))
    table["p_holm"] = table.groupby("question")["p"].transform(holm)
    tests = table.groupby("question")["p"].transform("count")
    table["verdict"] = [
        _row_verdict(row, int(number)) for row, number in zip(records(table), tests, strict=True)
    ]
    return table


def verdict_of(pair: pd.DataFrame) -> str:
    """Return the verdict on the rows of one pair, in words."""
    bits = pair[(pair["quantity"] == "same bits") & pair["value"].notna()]
    starts = pair.loc[pair["quantity"] == "same start", "value"].dropna()
    differing = pair[pair["verdict"] == "differs"]
    if len(bits) and (bits["value"] == 1).all() and (starts == 1).all():
        return "the same bits"
    if len(differing):
        return f"differs: {'; '.join([*_phrases(differing), *_same_training(pair)])}"
    if len(bits):
        return "the same distribution"
    reasons = dict.fromkeys(note for note in pair["note"] if note)
    if pair["p"].notna().any():
        return f"not told apart in training; draws not compared: {next(iter(reasons))}"
    return f"not compared: {next(iter(reasons), 'nothing could be measured')}"


def records(rows: pd.DataFrame) -> list[Record]:
    """Return the rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _fields(row: Row) -> dict[str, object]:
    sides = {"pair": str(row.pair), "a": str(row.pair.a), "b": str(row.pair.b)}
    numbers = {"ci_low": row.low, "ci_high": row.high, "definition": DEFINITIONS[row.quantity]}
    return {**asdict(row), **numbers, **sides}


def _row_verdict(row: Record, tests: int) -> str:
    """Return what one number says; ``tests`` share the question's chance of a false verdict."""
    return _VERDICTS.get(row["quantity"], _difference)(row, tests)


def _bits(row: Record, tests: int) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    return "the same bits" if row["value"] == 1 else "other bits"


def _speed(row: Record, tests: int) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    if row["value"] > 1 + TIME_MARGIN and row["ci_low"] > 1:
        return "slower"
    if row["value"] < 1 - TIME_MARGIN and row["ci_high"] < 1:
        return "faster"
    alike = 1 - TIME_MARGIN <= row["ci_low"] and row["ci_high"] <= 1 + TIME_MARGIN
    return "as fast" if alike else "undecided"


def _stated(row: Record, tests: int) -> str:
    return "not as stated" if row["p_holm"] < DRAW_ALPHA else "as stated"


def _difference(row: Record, tests: int) -> str:
    alpha = ALPHA[row["question"]]
    if math.isnan(row["p"]):
        if row["quantity"] == "diverged":
            return "none diverged"
        skipped = row["question"] == "training" and row["value"] == 0
        return "the same" if skipped else "not compared"
    if row["value"] == row["ci_low"] == row["ci_high"] == 0:
        return "the same"
    if row["p_holm"] < alpha:
        return "differs"
    if row["question"] == "training" and least_p(int(row["n"])) * tests > alpha:
        return f"undecided: {int(row['n'])} seeds, needs {seeds_for(tests, alpha)}"
    return "not told apart"


_VERDICTS: dict[str, Callable[[Record, int], str]] = {
    **dict.fromkeys(("same bits", "same start"), _bits),
    **{f"{name} of {side}": _stated for name in ("mean", "variance") for side in "ab"},
    "time": _speed,
}


def _phrases(differing: pd.DataFrame) -> list[str]:
    """Return in what a pair differs and by how much: the most telling number of the draws first."""
    found = []
    for quantity, words in _DRAWN.items():
        rows = differing[differing["quantity"] == quantity]
        if len(rows):
            row = max(records(rows), key=lambda row: _FARNESS[row["quantity"]](row["value"]))
            found.append(words.format(**row))
            break
    for row in records(differing[differing["question"] == "training"]):
        found.append(_TRAINED[row["quantity"]].format(**row))
    return found


def _same_training(pair: pd.DataFrame) -> list[str]:
    """Return what is to be said of training that was tested and shows no difference."""
    said = pair.loc[(pair["question"] == "training") & pair["p"].notna(), "verdict"]
    if said.empty or (said == "differs").any():
        return []
    undecided = said.str.startswith("undecided").any()
    return ["training undecided" if undecided else "not told apart in training"]


def _log(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf


_FARNESS: dict[str, Callable[[float], float]] = {
    "std ratio": _log,
    "KS distance": abs,
    "spectrum ratio": _log,
    "kurtosis ratio": _log,
}


_INTERVAL = "[{ci_low:.3g}, {ci_high:.3g}]"


_DRAWN = {
    "std ratio": f"std {{value:.3g}} {_INTERVAL} times that of {{b}} on {{setting}}",
    "KS distance": f"entries a KS distance of {{value:.3g}} {_INTERVAL} away on {{setting}}",
    "spectrum ratio": f"largest singular value {{value:.3g}} {_INTERVAL} times that of {{b}}, "
    "relative to the root mean square, on {setting}",
    "kurtosis ratio": f"kurtosis {{value:.3g}} {_INTERVAL} times that of {{b}} on {{setting}}",
}


_TRAINED = {
    "final loss": "final loss {value:+.3g} [{ci_low:+.3g}, {ci_high:+.3g}]",
    "mean loss": "mean loss {value:+.3g} [{ci_low:+.3g}, {ci_high:+.3g}]",
    "diverged": "diverged {note}",
}
