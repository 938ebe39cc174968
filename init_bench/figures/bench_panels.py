"""Draw one task of the benchmark: outcomes of its arms with intervals, and loss curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from init_bench.figures.style import Canvas, drawing, line_of, need, whole_of

OUTCOMES = {
    "final_loss": "loss at the end",
    "test_accuracy": "test accuracy",
    "window_decades": "rates that train\n(decades)",
}
"""Outcomes drawn, and their labels."""


SMOOTHED = 10
"""Steps that a point of a curve is the mean of."""


def bench_task(
    arms: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    order: Sequence[str],
    use: Sequence[str],
    shown: Sequence[str],
    caption: str,
    chance: float | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw the outcomes of all arms of a task as rows, and the loss curves of a few.

    Args:
        arms: ``init``, ``outcome``, ``value``, ``ci_low``, ``ci_high``.
        curves: ``init``, ``seed``, ``step``, ``loss``.
        order: the arms from top to bottom.
        use: those that nothing beats, drawn filled.
        shown: those whose curves are drawn.
        caption: text below.
        chance: loss of a constant output, which the loss at the end exceeds in no row; drawn beside
            the curves, which do.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> row = {"init": "a", "outcome": "final_loss", "value": 1, "ci_low": 0.9, "ci_high": 1.1}
        >>> curve = pd.DataFrame({"init": "a", "seed": 0, "step": range(20), "loss": 2.0})
        >>> figure = bench_task(
        ...     pd.DataFrame([row]), curve, order=["a"], use=["a"], shown=["a"], caption=""
        ... )
        >>> figure.axes[0].get_xlabel()
        'loss at the end'
    """
    need(arms, "init", "outcome", "value", "ci_low", "ci_high")
    need(curves, "init", "seed", "step", "loss")
    words = (
        f"{caption} Filled: nothing is better. Bars: 95 % intervals over seeds. Curves: mean "
        f"over seeds of the mean of {SMOOTHED} steps; bands: 95 % intervals."
    )
    if chance is not None:
        words += (
            f" Loss at the end: at most chance's, {chance:.3g} (dotted), which a run that diverged "
            "counts with; the curves are as trained."
        )
    with drawing(figure, 14, max(4.2, 1.5 + 0.28 * len(order)), words) as canvas:
        rows = canvas.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
        for ax, (outcome, label) in zip(rows, OUTCOMES.items(), strict=False):
            _draw_rows(ax, arms[arms["outcome"] == outcome].set_index("init"), order, use)
            ax.set_xlabel(label)
            if outcome == "window_decades":
                ax.set_xlim(left=0)  # also where no rate trains
        for ax in rows[1:3]:
            ax.set_yticks(range(len(order)), labels=[])
        _draw_curves(rows[3], curves, shown)
        if chance is not None:
            rows[3].axhline(chance, color="0.3", linestyle=":", linewidth=1, zorder=1)
    return whole_of(canvas)


def _draw_rows(ax: Axes, rows: pd.DataFrame, order: Sequence[str], use: Sequence[str]) -> None:
    for place, init in enumerate(order):
        if init not in rows.index:
            continue
        row = rows.loc[init]
        ax.plot([row["ci_low"], row["ci_high"]], [place, place], color="#0072B2")
        face = "#0072B2" if init in use else "none"
        ax.plot(row["value"], place, "o", mec="#0072B2", mfc=face, ms=5)
    ax.set_yticks(range(len(order)), labels=list(order), fontsize=8)
    ax.set_ylim(len(order) - 0.5, -0.5)


def _draw_curves(ax: Axes, curves: pd.DataFrame, shown: Sequence[str]) -> None:
    for position, init in enumerate(shown):
        rows = curves[curves["init"] == init]
        by_step = rows.groupby([rows["step"] // SMOOTHED, "seed"])["loss"].mean().unstack("seed")
        steps = (by_step.index.to_numpy() + 0.5) * SMOOTHED
        mean, n = by_step.mean(axis=1), by_step.notna().sum(axis=1)
        half = special.stdtrit(n - 1, 0.975) * by_step.std(axis=1) / np.sqrt(n)
        line = {k: v for k, v in line_of(init, position).items() if k != "marker"}
        ax.plot(steps, mean, label=init, **line)
        low = np.maximum(mean - half, 0)  # no loss is negative
        ax.fill_between(steps, low, mean + half, color=line["color"], alpha=0.15)
    ax.set(xlabel="step", ylabel="training loss")
    ax.legend(framealpha=0.8, edgecolor="none", fontsize=8, handlelength=3)
