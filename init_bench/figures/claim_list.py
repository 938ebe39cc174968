"""Draw the verdicts on a list of claims."""

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from init_bench.figures.style import Canvas, drawing, need, whole_of

VERDICTS: dict[str, dict[str, Any]] = {
    "holds": {"color": "#009E73", "marker": "o"},
    "does not hold": {"color": "#D55E00", "marker": "X"},
}
"""Marks of the two verdicts that every list of claims has a column for."""


UNDECIDED: dict[str, dict[str, Any]] = {"undecided": {"color": "#7F7F7F", "marker": "D"}}
"""Mark of the third, which has a column only where a claim has it."""


def claim_verdicts(claims: pd.DataFrame, *, caption: str, figure: Canvas | None = None) -> Figure:
    """Draw a row per claim: its statement, its verdict, and the value beside the threshold.

    Args:
        claims: ``figure``, ``statement``, ``value``, ``ci_low``, ``ci_high``, ``threshold``,
            ``verdict`` (``holds``, ``does not hold`` or ``undecided``); the rows from top to
            bottom.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> row = {"figure": "6-15", "statement": "He learns", "value": 0.2, "ci_low": 0.1,
        ...        "ci_high": 0.3, "threshold": "<= 0.5", "verdict": "holds"}
        >>> figure = claim_verdicts(pd.DataFrame([row]), caption="")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.2 [0.1, 0.3]  (<= 0.5)']
    """
    need(claims, "figure", "statement", "value", "ci_low", "ci_high", "threshold", "verdict")
    with drawing(figure, 11, 1.2 + 0.34 * len(claims), caption) as canvas:
        ax = canvas.subplots()
        verdicts = VERDICTS | (UNDECIDED if "undecided" in set(claims["verdict"]) else {})
        count = len(verdicts)
        for place, row in enumerate(claims.to_dict("records")):
            at = list(verdicts).index(row["verdict"])
            ax.plot(at, place, linestyle="none", markersize=8, **verdicts[row["verdict"]])
            numbers = f"{number_of(row)}  ({row['threshold']})"
            ax.annotate(numbers, (count - 0.5, place), va="center", fontsize=8, backgroundcolor="w")
        labels = [
            textwrap.shorten(f"{figure_name}: {statement}", 95, placeholder=" …")
            for figure_name, statement in zip(claims["figure"], claims["statement"], strict=True)
        ]
        ax.set_yticks(range(len(claims)), labels, fontsize=8)
        ax.set_xticks([*range(count), count + 0.5], [*verdicts, "value [95 %] (threshold)"])
        ax.set(xlim=(-0.5, count + 1.8), ylim=(len(claims) - 0.5, -0.5))
        ax.xaxis.tick_top()
        ax.grid(visible=False, axis="x")
        ax.tick_params(length=0)
    return whole_of(canvas)


def number_of(claim: Mapping[Any, Any]) -> str:
    """Return the value of a claim with its interval, where it has one.

    Example:
        >>> number_of({"value": 0.25, "ci_low": 0.125, "ci_high": 0.5})
        '0.25 [0.125, 0.5]'
    """
    value, low, high = claim["value"], claim["ci_low"], claim["ci_high"]
    return f"{value:.4g}" + (f" [{low:.4g}, {high:.4g}]" if low == low else "")
