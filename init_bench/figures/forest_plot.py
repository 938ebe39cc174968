"""Draw the differences of many pairs of initializers, a row per pair."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from init_bench.figures.style import Canvas, drawing, need, whole_of

VERDICTS: dict[str, dict[str, Any]] = {
    "the same bits": {"color": "#0072B2", "marker": "o"},
    "the same distribution": {"color": "#009E73", "marker": "s"},
    "differs": {"color": "#D55E00", "marker": "D"},
    "not compared": {"color": "#7F7F7F", "marker": "X"},
}


PANELS = {
    "std ratio": ("std, a / b\n(shape or layer farthest from 1)", 1.0),
    "KS distance": ("KS distance of entries\n(largest of the shapes)", 0.0),
    "final loss": ("final loss, a - b\n(mean over seeds)", 0.0),
    "time": ("time of a fill, a / b\n(median over rounds)", 1.0),
}
"""Quantity → label and the value that says "no difference"."""


def forest(
    table: pd.DataFrame, verdicts: Mapping[str, str], *, figure: Canvas | None = None
) -> Figure:
    """Draw ratios and differences of many pairs with their intervals, colored by verdict.

    Args:
        table: rows of ``Comparison.table``: ``pair``, ``quantity``, ``value``, ``ci_low``,
            ``ci_high``, ``verdict``, ``note``.
        verdicts: pair → verdict; the pairs from top to bottom.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: ``table`` lacks a column or has no rows.

    Example:
        >>> row = {"pair": "zeros vs ones", "quantity": "final loss", "value": 0.2, "ci_low": 0.1,
        ...        "ci_high": 0.3, "verdict": "differs", "note": ""}
        >>> figure = forest(pd.DataFrame([row]), {"zeros vs ones": "differs: …"})
        >>> figure.axes[1].get_xlabel()
        'final loss, a - b\\n(mean over seeds)'
    """
    need(table, "pair", "quantity", "value", "ci_low", "ci_high", "verdict", "note")
    words = (
        "a: first name, b: second. Bars: intervals of 99.9 % for draws, 95 % for training, "
        "96 % for time; no bar: the number does not vary. Hollow: this number shows no "
        "difference, though another of the pair does. Pairs that start from the same bits are "
        "not trained: their difference is 0. No marker: not measured."
    )
    with drawing(figure, 13, 1.9 + 0.36 * len(verdicts), words) as canvas:
        # Initializers of whole networks have no KS distance.
        shown = [q for q in PANELS if q != "KS distance" or (table["quantity"] == q).any()]
        axes = canvas.subplots(1, len(shown), sharey=True)
        for ax, quantity in zip(axes, shown, strict=True):
            _draw_panel(ax, quantity, table, verdicts)
        _write_divergence(axes[shown.index("final loss")], table, verdicts)
        axes[0].set_yticks(range(len(verdicts)), [p.replace(" vs ", "\n vs ") for p in verdicts])
        axes[0].tick_params(axis="y", labelsize=8)
        axes[0].set_ylim(len(verdicts) - 0.5, -0.5)
        canvas.legend(handles=_legend(verdicts), loc="outside upper center", ncols=4, frameon=False)
    return whole_of(canvas)


def _draw_panel(ax: Axes, quantity: str, table: pd.DataFrame, verdicts: Mapping[str, str]) -> None:
    label, null = PANELS[quantity]
    rows = table[(table["quantity"] == quantity) & np.isfinite(table["value"])]
    ax.axvline(null, color="#555555", linewidth=0.8, linestyle=":")
    for height, (pair, verdict) in enumerate(verdicts.items()):
        _draw_row(ax, height, rows[rows["pair"] == pair], null, verdict)
    if null == 1 and len(rows) and rows["value"].max() > 3 * rows["value"].min() > 0:
        ax.set_xscale("log")
        if rows["value"].max() < 100 * rows["value"].min():
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(label)
    ax.tick_params(axis="x", labelsize=8)


def _draw_row(ax: Axes, height: int, rows: pd.DataFrame, null: float, verdict: str) -> None:
    """Draw the value farthest from ``null``, for ratios by their logarithms, with its interval."""
    if rows.empty:
        return
    far = np.log(rows["value"].clip(lower=1e-300)) if null == 1 else rows["value"]
    row = rows.iloc[int(far.abs().to_numpy().argmax())]
    style = _style(verdict)
    filled = not verdict.startswith("differs") or row["verdict"] in ("differs", "slower", "faster")
    ends = [row["ci_low"], row["ci_high"]]
    if all(math.isfinite(end) for end in ends):
        ax.plot(ends, [height, height], color=style["color"], linewidth=1.8)
    face = style["color"] if filled else "white"
    ax.plot(row["value"], height, linestyle="", markersize=6, markerfacecolor=face, **style)


def _write_divergence(ax: Axes, table: pd.DataFrame, verdicts: Mapping[str, str]) -> None:
    """Write how many seeds diverged on either side where any did."""
    rows = table[(table["quantity"] == "diverged") & (table["verdict"] != "none diverged")]
    for height, pair in enumerate(verdicts):
        for note in rows.loc[rows["pair"] == pair, "note"]:
            ax.text(
                *(0.99, height + 0.42),
                f"diverged {note}",
                transform=ax.get_yaxis_transform(),
                ha="right",
                fontsize=6.5,
                color="#555555",
            )


def _style(verdict: str) -> dict[str, Any]:
    return next((v for k, v in VERDICTS.items() if verdict.startswith(k)), VERDICTS["not compared"])


def _legend(verdicts: Mapping[str, str]) -> list[Line2D]:
    shown = [_style(verdict) for verdict in verdicts.values()]
    return [
        Line2D([], [], linestyle="", label=name, **style)
        for name, style in VERDICTS.items()
        if style in shown
    ]
