"""Draw two initializers side by side: weights, quantiles, loss curves, differences by seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.curves import draw_losses
from init_bench.figures.style import Canvas, drawing, label_of, line_of, need, seeds_of, whole_of

Sides = Mapping[str, Mapping[str, Any]]


HIGHEST = 10.0
"""Limit of the loss axis where a run blows up: about four times the loss of chance."""


SIDES: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "marker": "o"},
    {"linestyle": (0, (4, 2)), "marker": "s"},
)
"""Dash and marker of each side; its color is the initializer's."""


def pair_comparison(
    table: pd.DataFrame,
    quantiles: pd.DataFrame,
    curves: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    title: str,
    figure: Canvas | None = None,
) -> Figure:
    """Draw one pair: weights, quantiles, loss curves, and differences by seed.

    Args:
        table: rows of ``Comparison.table``: ``a``, ``b``, ``quantity``, ``value``, ``ci_low``,
            ``ci_high``, ``note``.
        quantiles: ``init``, ``shape``, ``probability``, ``value``; may have no rows.
        curves: ``init``, ``seed``, ``step``, ``loss``; may have no rows.
        outcomes: ``init``, ``seed``, ``status``, ``final_loss``, ``mean_loss``; may have no rows.
        title: written above.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: ``table`` lacks a column or has no rows.

    Example:
        >>> row = {"a": "zeros", "b": "ones", "quantity": "same bits", "value": 0.0,
        ...        "ci_low": 0.0, "ci_high": 0.0, "note": ""}
        >>> none = pd.DataFrame()
        >>> pair_comparison(pd.DataFrame([row]), none, none, none, title="").get_supxlabel()
        'a: zeros, b: ones.'
    """
    need(table, "a", "b", "quantity", "value", "ci_low", "ci_high", "note")
    names = table.loc[table.index[0], ["a", "b"]]
    sides = {
        name: {**side, "color": line_of(name, position)["color"]}
        for position, (name, side) in enumerate(zip(names, SIDES, strict=True))
    }
    trained = (
        f" Loss: mean over {seeds_of(curves)}, smoothed; faint: not smoothed; band: ±1 "
        "standard deviation; seeds that diverged are left out. Dots: a - b of one seed; "
        "diamond and bar: their mean and its 95 % interval (Student's t)."
        if len(curves)
        else ""
    )
    with drawing(figure, 10, 7.6, f"a: {', b: '.join(sides)}.{trained}") as canvas:
        axes = canvas.subplots(2, 2)
        canvas.suptitle(title.replace("; ", ";\n"), fontsize=10)
        if quantiles.empty:
            _leave_empty(axes[0], "no weight that both can fill")
        else:
            _draw_density(axes[0, 0], quantiles, sides)
            _draw_quantiles(axes[0, 1], quantiles, sides)
        if curves.empty:
            _leave_empty(axes[1], "not trained")
        else:
            _draw_curves(axes[1, 0], curves, outcomes, sides)
            _draw_differences(axes[1, 1], table, outcomes, list(sides))
    return whole_of(canvas)


def _draw_density(ax: Axes, quantiles: pd.DataFrame, sides: Sides) -> None:
    import seaborn as sns  # here: it loads scipy.stats, 60 MB that no other figure needs

    colors = {init: side["color"] for init, side in sides.items()}
    stat = "density" if quantiles["value"].max() > quantiles["value"].min() else "count"
    sns.histplot(
        quantiles,
        x="value",
        hue="init",
        palette=colors,
        element="step",
        stat=stat,
        common_norm=False,
        bins=40,
        alpha=0.25,
        ax=ax,
    )
    legend = ax.get_legend()
    if legend is not None:
        legend.set(title=None, frame_on=False, loc="upper right")
    ax.margins(y=0.3)
    shape = quantiles["shape"].iloc[0]
    ax.set_title(f"entries of a {shape} weight, different seeds for a and b", fontsize=10)
    ax.set(xlabel="weight", ylabel=stat)


def _draw_quantiles(ax: Axes, quantiles: pd.DataFrame, sides: Sides) -> None:
    a, b = (quantiles.loc[quantiles["init"] == init, "value"].to_numpy() for init in sides)
    ax.axline((b[0], b[0]), slope=1, color="#555555", linewidth=0.8, linestyle=":")
    ax.plot(b, a, ".", color="#000000", markersize=4)
    ax.set_ylim(*_around(a))
    ax.set_xlim(*_around(b))
    names = [label_of(init) for init in sides]
    ax.set(xlabel=f"quantiles of {names[1]}", ylabel=f"quantiles of {names[0]}")
    ax.set_title("quantiles against quantiles (dotted: equal)", fontsize=10)


def _draw_curves(ax: Axes, curves: pd.DataFrame, outcomes: pd.DataFrame, sides: Sides) -> None:
    """Draw the runs that did not diverge, the axis cut off where a loss is far above chance."""
    trained = outcomes.loc[outcomes["status"] == "ok", ["init", "seed"]]
    kept = curves.merge(trained, on=["init", "seed"])
    if len(kept):
        draw_losses(ax, kept, sides)
        ax.legend(frameon=False, fontsize=8.5)
    cut = bool(ax.get_ylim()[1] > HIGHEST)
    if cut:
        ax.set_ylim(0, HIGHEST)
    ax.set_title("training loss" + f" (above {HIGHEST:g} not shown)" * cut, fontsize=10)


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
    for row in table[table["quantity"] == "diverged"].to_dict("records"):
        if len(seeds) < len(a):
            ax.text(0.5, 0.02, f"diverged {row['note']}", transform=ax.transAxes, ha="center")
    ax.set_yticks([0, 1], ["final loss", "mean loss"])
    ax.set_ylim(1.6, -0.6)
    ax.set_xlabel("difference of losses, a - b (below 0: a is better)")
    ax.set_title("difference by seed, mean and interval", fontsize=10)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Return limits that hold the values and a margin, even where they are all the same."""
    margin = 0.05 * float(np.ptp(values)) or 0.5
    return float(values.min()) - margin, float(values.max()) + margin


def _leave_empty(axes: Any, reason: str) -> None:
    for ax in axes:
        ax.set_axis_off()
        ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes, color="#555555")
