"""Two initialisers side by side, and many pairs as a forest plot."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from init_bench.figures.curves import draw_losses
from init_bench.figures.style import RC, add_caption, label_of, need, new_figure, seeds_of

Sides = Mapping[str, Mapping[str, Any]]

SIDES: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": (0, (4, 2)), "marker": "s"},
)
VERDICTS: dict[str, dict[str, Any]] = {
    "the same bits": {"color": "#0072B2", "marker": "o"},
    "the same distribution": {"color": "#009E73", "marker": "s"},
    "differs": {"color": "#D55E00", "marker": "D"},
    "not compared": {"color": "#7F7F7F", "marker": "X"},
}
PANELS = {
    "std ratio": ("std, a / b\n(shape farthest from 1)", 1.0),
    "KS distance": ("KS distance of entries\n(largest of the shapes)", 0.0),
    "final loss": ("final loss, a - b\n(mean over seeds)", 0.0),
    "time": ("time of a fill, a / b\n(bar: range over turns)", 1.0),
}
"""Quantity → label and the value that says "no difference"."""


def pair_comparison(
    table: pd.DataFrame,
    quantiles: pd.DataFrame,
    curves: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    title: str,
) -> Figure:
    """Draw one pair: its entries twice, its loss curves, and its differences by seed.

    Args:
        table: rows of ``Comparison.table``: ``a``, ``b``, ``quantity``, ``value``, ``ci_low``,
            ``ci_high``.
        quantiles: ``init``, ``shape``, ``probability``, ``value``; may have no rows.
        curves: ``init``, ``seed``, ``step``, ``loss``; may have no rows.
        outcomes: ``init``, ``seed``, ``final_loss``, ``mean_loss``; may have no rows.
        title: written above.

    Returns:
        A figure outside pyplot's state; no frame and no global theme is altered.

    Raises:
        InitBenchError: ``table`` lacks a column or has no rows.
    """
    need(table, "a", "b", "quantity", "value", "ci_low", "ci_high")
    sides = dict(zip(table.loc[table.index[0], ["a", "b"]], SIDES, strict=True))
    figure = new_figure(10, 7.6)
    with mpl.rc_context(RC):
        axes = figure.subplots(2, 2)
        figure.suptitle(title.replace("; ", ";\n"), fontsize=10)
        if quantiles.empty:
            _leave_empty(axes[0], "no weight that both can fill")
        else:
            _draw_density(axes[0, 0], quantiles, sides)
            _draw_quantiles(axes[0, 1], quantiles, sides)
        if curves.empty:
            _leave_empty(axes[1], "not trained")
        else:
            draw_losses(axes[1, 0], curves, sides)
            axes[1, 0].set_title("training loss", fontsize=10)
            axes[1, 0].legend(frameon=False, fontsize=8.5)
            _draw_differences(axes[1, 1], table, outcomes, list(sides))
        trained = f" Bands: ±1 sd over {seeds_of(curves)}." if len(curves) else ""
        add_caption(
            figure,
            f"a: {', b: '.join(sides)}.{trained} Differences: a - b for each seed, paired; the "
            "diamond is their mean with its 95 % bootstrap interval.",
        )
    return figure


def forest(table: pd.DataFrame, verdicts: Mapping[str, str]) -> Figure:
    """Draw many pairs: ratios and differences with intervals, coloured by verdict.

    Args:
        table: rows of ``Comparison.table``: ``pair``, ``quantity``, ``value``, ``ci_low``,
            ``ci_high``.
        verdicts: pair → verdict; the pairs from top to bottom.

    Returns:
        A figure outside pyplot's state; neither the frame nor the global theme is altered.

    Raises:
        InitBenchError: ``table`` lacks a column or has no rows.
    """
    need(table, "pair", "quantity", "value", "ci_low", "ci_high")
    figure = new_figure(13, 1.9 + 0.36 * len(verdicts))
    with mpl.rc_context(RC):
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (quantity, (label, null)) in zip(axes, PANELS.items(), strict=True):
            ax.axvline(null, color="#555555", linewidth=0.8, linestyle=":")
            rows = table[(table["quantity"] == quantity) & table["value"].notna()]
            for height, (pair, verdict) in enumerate(verdicts.items()):
                _draw_row(ax, height, rows[rows["pair"] == pair], null, _look(verdict))
            ax.set_xlabel(label)
            ax.tick_params(axis="x", labelsize=8)
        axes[0].set_yticks(range(len(verdicts)), [p.replace(" vs ", "\n vs ") for p in verdicts])
        axes[0].tick_params(axis="y", labelsize=8)
        axes[0].set_ylim(len(verdicts) - 0.5, -0.5)
        figure.legend(handles=_legend(verdicts), loc="outside upper center", ncols=4, frameon=False)
        add_caption(
            figure,
            "Each point with its interval: 99.9 % for draws, 95 % for training. No bar: the number "
            "does not vary. Same bits train equally: 0 without a run. Empty: not measured.",
        )
    return figure


def _draw_density(ax: Axes, quantiles: pd.DataFrame, sides: Sides) -> None:
    colors = {init: side["color"] for init, side in sides.items()}
    spread = quantiles["value"].max() > quantiles["value"].min()
    sns.histplot(
        quantiles,
        x="value",
        hue="init",
        palette=colors,
        element="step",
        stat="density" if spread else "count",
        common_norm=False,
        bins=40,
        alpha=0.25,
        ax=ax,
    )
    legend = ax.get_legend()
    if legend is not None:
        legend.set(title=None, frame_on=False)
    ax.set_title(f"entries of a {quantiles['shape'].iloc[0]} weight", fontsize=10)
    ax.set_xlabel("weight")


def _draw_quantiles(ax: Axes, quantiles: pd.DataFrame, sides: Sides) -> None:
    a, b = (quantiles.loc[quantiles["init"] == init, "value"].to_numpy() for init in sides)
    ax.axline((b[0], b[0]), slope=1, color="#555555", linewidth=0.8, linestyle=":")
    ax.plot(b, a, ".", color="#000000", markersize=4)
    names = [label_of(init) for init in sides]
    ax.set(xlabel=f"quantiles of {names[1]}", ylabel=f"quantiles of {names[0]}")
    ax.set_title("quantiles against quantiles (dotted: equal)", fontsize=10)


def _draw_differences(
    ax: Axes, table: pd.DataFrame, outcomes: pd.DataFrame, inits: list[str]
) -> None:
    a, b = (outcomes[outcomes["init"] == init].set_index("seed") for init in inits)
    ax.axvline(0, color="#555555", linewidth=0.8, linestyle=":")
    for height, quantity in enumerate(("final loss", "mean loss")):
        column = quantity.replace(" ", "_")
        seeds = (a[column] - b[column]).dropna()
        ax.plot(seeds, [height + 0.16] * len(seeds), "o", color="#7F7F7F", alpha=0.7, ms=5)
        for row in table[table["quantity"] == quantity].to_dict("records"):
            ends = [row["ci_low"], row["ci_high"]]
            ax.plot(ends, [height, height], color="#000000", linewidth=2)
            ax.plot(row["value"], height, "D", color="#000000", ms=7)
    ax.set_yticks([0, 1], ["final loss", "mean loss"])
    ax.set_ylim(1.6, -0.6)
    ax.set_xlabel("difference of losses, a - b")
    ax.set_title("difference by seed, mean and interval", fontsize=10)


def _draw_row(
    ax: Axes, height: int, rows: pd.DataFrame, null: float, look: Mapping[str, Any]
) -> None:
    """Draw the value farthest from ``null`` with its interval."""
    if rows.empty:
        return
    row = rows.loc[(rows["value"] - null).abs().idxmax()]
    ends = [row["ci_low"], row["ci_high"]]
    if all(math.isfinite(end) for end in ends):
        ax.plot(ends, [height, height], color=look["color"], linewidth=1.8)
    ax.plot(row["value"], height, linestyle="", markersize=6, **look)


def _look(verdict: str) -> dict[str, Any]:
    return next((v for k, v in VERDICTS.items() if verdict.startswith(k)), VERDICTS["not compared"])


def _legend(verdicts: Mapping[str, str]) -> list[Line2D]:
    shown = [_look(verdict) for verdict in verdicts.values()]
    return [
        Line2D([], [], linestyle="", label=name, **look)
        for name, look in VERDICTS.items()
        if look in shown
    ]


def _leave_empty(axes: Any, reason: str) -> None:
    for ax in axes:
        ax.set_axis_off()
        ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes, color="#555555")
