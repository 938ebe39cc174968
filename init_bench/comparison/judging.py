"""Rows → table → verdict: Holm over all tests of a question, then words."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import pandas as pd

from init_bench.comparison.paired import holm, least_p, seeds_for
from init_bench.comparison.pairs import Pair
from init_bench.comparison.rows import DEFINITIONS, DRAW_ALPHA, TRAIN_ALPHA, Row

COLUMNS = (
    *("pair", "a", "b", "question", "setting", "quantity", "definition", "value", "ci_low"),
    *("ci_high", "p", "p_holm", "n", "verdict", "note"),
)
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
        _row_verdict(row, int(number))
        for row, number in zip(table.to_dict("records"), tests, strict=True)
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
        return f"differs: {'; '.join(_phrases(differing))}"
    if len(bits):
        return "the same distribution"
    reasons = dict.fromkeys(note for note in pair["note"] if note)
    if pair["p"].notna().any():
        return f"not told apart in training; draws not compared: {next(iter(reasons))}"
    return f"not compared: {next(iter(reasons), 'nothing could be measured')}"


def _fields(row: Row) -> dict[str, object]:
    sides = {"pair": str(row.pair), "a": str(row.pair.a), "b": str(row.pair.b)}
    numbers = {"ci_low": row.low, "ci_high": row.high, "definition": DEFINITIONS[row.quantity]}
    return {**asdict(row), **numbers, **sides}


def _row_verdict(row: dict[str, object], tests: int) -> str:
    """Return what one number says; ``tests`` share the question's chance of a false verdict."""
    return _VERDICTS.get(str(row["quantity"]), _difference)(row, tests)


def _bits(row: dict[str, float], tests: int) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    return "the same bits" if row["value"] == 1 else "other bits"


def _speed(row: dict[str, float], tests: int) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    if row["ci_low"] <= 1 <= row["ci_high"]:
        return "as fast"
    return "slower" if row["value"] > 1 else "faster"


def _stated(row: dict[str, float], tests: int) -> str:
    return "not as stated" if row["p_holm"] < DRAW_ALPHA else "as stated"


def _difference(row: dict[str, float], tests: int) -> str:
    alpha = ALPHA[str(row["question"])]
    if math.isnan(row["p"]):
        same = row["question"] == "training" and row["value"] == 0
        return "the same" if same else "not compared"
    if row["p_holm"] < alpha:
        return "differs"
    if row["question"] == "training" and least_p(int(row["n"])) * tests > alpha:
        return f"undecided: needs {seeds_for(tests, alpha)} seeds"
    return "not told apart"


_VERDICTS: dict[str, Callable[[dict[str, float], int], str]] = {
    **dict.fromkeys(("same bits", "same start"), _bits),
    **{f"{name} of {side}": _stated for name in ("mean", "variance") for side in "ab"},
    "time": _speed,
}


def _phrases(differing: pd.DataFrame) -> list[str]:
    """Return in what a pair differs and by how much: the most telling number of each question."""
    found = []
    for quantity, words in _DRAWN.items():
        rows = differing[differing["quantity"] == quantity]
        if len(rows):
            far = rows["value"].map(lambda value: abs(math.log(max(value, 1e-300)))).idxmax()
            top = rows.loc[far if quantity != "KS distance" else rows["value"].idxmax()]
            found.append(f"{words} {_number(top)} at {top['setting']}")
            break
    trained = differing[differing["question"] == "training"]
    for row in trained.to_dict("records"):
        if row["quantity"] == "diverged":
            found.append(f"diverged seeds {row['note']}")
        else:
            found.append(f"{row['quantity']} {_number(row, signed=True)}")
    return found


_DRAWN = {
    "std ratio": "std of a / b",
    "KS distance": "entries' distribution, KS distance",
    "spectrum ratio": "spectrum, a / b",
}


def _number(row: object, *, signed: bool = False) -> str:
    value, low, high = (row[name] for name in ("value", "ci_low", "ci_high"))  # type: ignore[index]
    form = "{:+.3g}" if signed else "{:.3g}"
    return f"{form} [{form}, {form}]".format(value, low, high)
