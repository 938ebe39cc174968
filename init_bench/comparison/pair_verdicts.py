"""Judge the measured rows of each pair: Holm-adjusted p-values, a verdict per row and per pair."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from init_bench.comparison.measurements import (
    DEFINITIONS,
    DRAW_ALPHA,
    LOSSES,
    TIME_MARGIN,
    TRAIN_ALPHA,
    Row,
)
from init_bench.comparison.paired_tests import least_p, seeds_for
from init_bench.comparison.pairs_from_names import Pair
from init_bench.statistics.all_pairs import holm

COLUMNS = (
    *("pair", "a", "b", "question", "setting", "quantity", "definition", "value", "ci_low"),
    *("ci_high", "p", "p_holm", "n", "verdict", "note"),
)


Record = dict[str, Any]


ALPHA = {"distribution": DRAW_ALPHA, "training": TRAIN_ALPHA, "speed": math.nan}


def judge(pairs: Sequence[Pair], rows: Iterable[Row], *, looks: int = 1) -> pd.DataFrame:
    """Return a row per measured number, pair by pair, with Holm's p-value and a verdict.

    Holm's adjustment counts all tests of one question, over shapes, quantities and pairs. Of
    several planned looks at the training, each takes an equal part of its chance of error.
    """
    rows = sorted(rows, key=lambda row: pairs.index(row.pair))
    table = pd.DataFrame([_fields(row) for row in rows], columns=list(COLUMNS))
    table["p_holm"] = table.groupby("question")["p"].transform(holm)
    tests = table.groupby("question")["p"].transform("count")
    alpha = {**ALPHA, "training": TRAIN_ALPHA / looks}
    table["verdict"] = [
        _row_verdict(row, int(number), alpha[row["question"]])
        for row, number in zip(records(table), tests, strict=True)
    ]
    return table


def decided(table: pd.DataFrame, pair: Pair) -> bool:
    """Return whether more seeds could not change what is said of a pair's training."""
    rows = table[(table["pair"] == str(pair)) & (table["quantity"] == "final loss")]
    open_ = rows["verdict"].str.startswith("undecided") | (rows["verdict"] == "no difference found")
    return not open_.any()


def verdict_of(pair: pd.DataFrame) -> str:
    """Return the verdict on the rows of one pair as a sentence.

    It begins with "the same bits", "the same distribution", "differs: " or "not ".
    """
    bits = pair[(pair["quantity"] == "same bits") & pair["value"].notna()]
    starts = pair.loc[pair["quantity"] == "same start", "value"].dropna()
    differing = pair[pair["verdict"] == "differs"]
    if len(bits) and (bits["value"] == 1).all() and (starts == 1).all():
        return "the same bits"
    if len(differing):
        return f"differs: {'; '.join([*_differences(pair), *_same_training(pair)])}"
    if len(bits):
        return "the same distribution"
    reasons = dict.fromkeys(note for note in pair["note"] if note)
    if pair["p"].notna().any():
        return f"no difference found in training; draws not compared: {next(iter(reasons))}"
    return f"not compared: {next(iter(reasons), 'nothing could be measured')}"


def records(rows: pd.DataFrame) -> list[Record]:
    """Return the rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _fields(row: Row) -> dict[str, object]:
    sides = {"pair": str(row.pair), "a": str(row.pair.a), "b": str(row.pair.b)}
    numbers = {"ci_low": row.low, "ci_high": row.high, "definition": DEFINITIONS[row.quantity]}
    return {**asdict(row), **numbers, **sides}


def _row_verdict(row: Record, tests: int, alpha: float) -> str:
    """Return what one number says; ``tests`` share ``alpha``, the chance of a false verdict."""
    return _VERDICTS.get(row["quantity"], _difference)(row, tests, alpha)


def _bits(row: Record, tests: int, alpha: float) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    return "the same bits" if row["value"] == 1 else "different bits"


def _speed(row: Record, tests: int, alpha: float) -> str:
    if math.isnan(row["value"]):
        return "not compared"
    fastest, slowest = 1 / (1 + TIME_MARGIN), 1 + TIME_MARGIN
    if row["ci_low"] > slowest:
        return "slower"
    if row["ci_high"] < fastest:
        return "faster"
    within = fastest <= row["ci_low"] and row["ci_high"] <= slowest
    return f"as fast, within {TIME_MARGIN * 100:.0f} %" if within else "no clear difference"


def _stated(row: Record, tests: int, alpha: float) -> str:
    return "not as stated" if row["p_holm"] < alpha else "as stated"


def _difference(row: Record, tests: int, alpha: float) -> str:
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
        return f"undecided: {int(row['n'])} seeds, at least {seeds_for(tests, alpha)} needed"
    return "no difference found"


_VERDICTS: dict[str, Callable[[Record, int, float], str]] = {
    **dict.fromkeys(("same bits", "same start"), _bits),
    **{f"{name} of {side}": _stated for name in ("mean", "variance") for side in "ab"},
    "time": _speed,
}


def unit_of(rows: pd.DataFrame) -> str:
    """Return what rows about draws count: the shapes of weights, or the layers of a network."""
    return "layers" if rows["setting"].str.startswith("layer").any() else "shapes"


def _differences(pair: pd.DataFrame) -> list[str]:
    """Return who trains better and by how much, then the clearest difference of the draws."""
    phrases, differing = [], pair[pair["verdict"] == "differs"]
    by_quantity = {row["quantity"]: row for row in records(differing)}
    losses = [by_quantity[name] for name in LOSSES if name in by_quantity]
    if losses:
        phrases.append(_better(losses))
    if "diverged" in by_quantity:
        row = by_quantity["diverged"]
        phrases.append(f"{_lower_side(row)} diverges less often ({row['note']})")
    for quantity, sentence in _DRAWN.items():
        rows = pair[(pair["quantity"] == quantity) & pair["value"].notna()]
        if (rows["verdict"] == "differs").any():
            phrases.append(_drawn_difference(rows, sentence))
            break
    return phrases


def _drawn_difference(rows: pd.DataFrame, sentence: str) -> str:
    """Return the sentence on one quantity: its range over the shapes or layers that differ."""
    found = records(rows[rows["verdict"] == "differs"])
    values = [f"{row['value']:.3g}" for row in sorted(found, key=lambda row: row["value"])]
    amount, where = values[0], f"on {len(found)} of {len(rows)} {unit_of(rows)}"
    if len(found) == 1:
        amount += f" [{found[0]['ci_low']:.3g}, {found[0]['ci_high']:.3g}]"
        where = found[0]["setting"]
    elif values[-1] != values[0]:
        amount += f" to {values[-1]}"
    return sentence.format(**{**found[0], "value": amount, "setting": where})


def _better(losses: Sequence[Record]) -> str:
    """Return which side has the lower loss and by how much; the first loss decides."""
    better = _lower_side(losses[0])
    sign = -1 if better == losses[0]["a"] else 1
    amounts = []
    for row in losses:
        lower, low, high = (sign * row[name] for name in ("value", "ci_low", "ci_high"))
        direction = "lower" if lower > 0 else "higher"
        low, high = sorted((low, high) if lower > 0 else (-low, -high))
        amounts.append(f"{row['quantity']} {direction} by {abs(lower):.3g} [{low:.3g}, {high:.3g}]")
    return f"{better} trains better: {', '.join(amounts)}"


def _lower_side(row: Record) -> str:
    return str(row["a"] if row["value"] < 0 else row["b"])


def _same_training(pair: pd.DataFrame) -> list[str]:
    """Return a phrase where training was tested and shows no difference."""
    verdicts = pair.loc[(pair["question"] == "training") & pair["p"].notna(), "verdict"]
    if verdicts.empty or (verdicts == "differs").any():
        return []
    undecided = verdicts.str.startswith("undecided").any()
    return ["too few seeds to judge training" if undecided else "no difference found in training"]


_DRAWN = {
    "std ratio": "weights of {a} have {value} times the std of those of {b} ({setting})",
    "KS distance": "the distributions of the weights are a KS distance of {value} apart "
    "({setting})",
    "spectrum ratio": "the largest singular value of {a} is {value} times that of {b}, each "
    "relative to its root mean square ({setting})",
    "kurtosis ratio": "the kurtosis of {a} is {value} times that of {b} ({setting})",
}
"""Sentences on draws; the first quantity that differs is the one reported."""
