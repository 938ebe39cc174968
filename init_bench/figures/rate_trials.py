"""Draw short trials at several learning rates, and the window among the rates."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.style import Canvas, drawing, need, whole_of

OUTCOME_STYLES: dict[str, dict[str, Any]] = {
    "falls": {"color": "#009E73", "marker": "o"},
    "does not fall": {"color": "#7F7F7F", "marker": "s"},
    "diverges": {"color": "#D55E00", "marker": "X"},
    "not tried": {"color": "#FFFFFF", "marker": "o", "markeredgecolor": "#7F7F7F"},
}
"""Color and marker of each outcome."""


TALLEST = 10.0
"""Losses above this multiple of the first are cut off."""


def rate_curves(
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    window: tuple[float, float],
    goal: float,
    curvature_rate: float,
    caption: str,
    figure: Canvas | None = None,
) -> Figure:
    """Draw the loss of each trial against its steps, and each rate's outcome with the window.

    Args:
        trials: a row per rate: ``lr``, ``outcome``.
        curves: ``lr``, ``step``, ``loss``.
        window: its ends, shaded; nan where there is none.
        goal: the loss that counts as learned: a line.
        curvature_rate: 2/λ_max: a line, where it is finite.
        caption: text below the panels.
        figure: to draw into, or a part of one; default: a new figure.

    Returns:
        A figure outside pyplot's state; neither a frame nor the global theme is altered.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> trials = pd.DataFrame({"lr": [0.1, 1.0], "outcome": ["falls", "diverges"]})
        >>> curves = pd.DataFrame({"lr": [0.1, 0.1], "step": [0, 1], "loss": [2.3, 1.9]})
        >>> figure = rate_curves(trials, curves, window=(0.1, 0.1), goal=1.5, curvature_rate=0.5,
        ...                      caption="")
        >>> figure.axes[1].get_xlabel()
        'learning rate'
    """
    need(trials, "lr", "outcome")
    need(curves, "lr", "step", "loss")
    with drawing(figure, 10.0, 3.6, f"{caption} Shaded: the window.") as canvas:
        left, right = canvas.subplots(1, 2, gridspec_kw={"width_ratios": [1.4, 1]})
        _draw_losses(left, curves, goal)
        _draw_rates(right, trials, window, curvature_rate)
    return whole_of(canvas)


def _draw_losses(ax: Axes, curves: pd.DataFrame, goal: float) -> None:
    """Draw a line per trial, the lowest rate darkest."""
    rates = sorted(curves["lr"].unique())
    colors = mpl.colormaps["viridis"](np.linspace(0, 1, len(rates) + 2)[1:-1])
    for lr, color in zip(rates, colors, strict=True):
        part = curves[curves["lr"] == lr]
        ax.plot(part["step"], part["loss"], color=color, linewidth=1.3, label=f"{lr:.2g}")
    highest = TALLEST * float(curves["loss"].iloc[0])
    finite = curves["loss"][np.isfinite(curves["loss"])]
    if len(finite) and 0 < highest < finite.max():
        ax.set_ylim(top=highest)
    ax.axhline(goal, color="#333333", linestyle=(0, (1, 1)), linewidth=1, label="goal")
    ax.set(xlabel="step", ylabel="loss")
    ax.legend(title="learning rate", fontsize=8, frameon=False)


def _draw_rates(
    ax: Axes, trials: pd.DataFrame, window: tuple[float, float], curvature_rate: float
) -> None:
    """Draw a marker per rate, a row per outcome, the window shaded."""
    outcomes = [outcome for outcome in OUTCOME_STYLES if (trials["outcome"] == outcome).any()]
    for height, outcome in enumerate(outcomes):
        part = trials[trials["outcome"] == outcome]
        ax.plot(part["lr"], [height] * len(part), linestyle="", **OUTCOME_STYLES[outcome])
    low, high = window
    if high > 0:
        ax.axvspan(low / 1.2, high * 1.2, color="#009E73", alpha=0.15, linewidth=0)
    if 0 < curvature_rate < math.inf:
        ax.axvline(curvature_rate, color="#0072B2", linestyle="--", label="2/λ_max at the start")
        ax.legend(fontsize=8, frameon=False)
    ax.set_yticks(range(len(outcomes)), labels=outcomes)
    ax.set(xscale="log", xlabel="learning rate", ylim=(len(outcomes) - 0.5, -0.5))
