"""Draw how much each layer's output changes in training, against width or depth."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from init_bench.figures.seed_lines import draw_over_seeds
from init_bench.figures.style import (
    Canvas,
    drawing,
    explained_names,
    mark_of,
    need,
    seeds_of,
    whole_of,
)

FEW_LAYERS = 12
"""The range over seeds is drawn for at most this many layers: more bands would hide the lines."""


WIDEST = 2.5
"""Limit of the slope axis: an interval from two seeds may be ten times as wide."""


def coordinate_curves(
    rows: pd.DataFrame,
    slopes: pd.DataFrame,
    *,
    tolerance: float,
    caption: str,
    over: str = "width",
    figure: Canvas | None = None,
) -> Figure:
    """Draw the change of each layer's output after the last step against width, and its slope.

    Args:
        rows: columns ``over``, ``seed``, ``step``, ``layer``, ``index``, ``change``.
        slopes: columns ``layer``, ``slope``, ``low``, ``high``, ``verdict``.
        tolerance: slopes within this of 0 count as none: shaded.
        caption: written below.
        over: the column that the changes are drawn against, ``width`` or ``depth``.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [(width, 0, 1, "fc1", 1, 0.1) for width in (64, 128)]
        >>> names = ["width", "seed", "step", "layer", "index", "change"]
        >>> slopes = pd.DataFrame({"layer": ["fc1"], "slope": [0.0], "low": [-0.1], "high": [0.1],
        ...                        "verdict": ["width-independent"]})
        >>> figure = coordinate_curves(
        ...     pd.DataFrame(rows, columns=names), slopes, tolerance=0.2, caption="")
        >>> figure.axes[0].get_xlabel(), figure.axes[1].get_yticklabels()[0].get_text()
        ('width', 'fc1')
    """
    need(rows, over, "seed", "step", "layer", "index", "change")
    need(slopes, "layer", "slope", "low", "high", "verdict")
    last = rows[rows["step"] == rows["step"].max()]
    colors = list(mpl.colormaps["viridis"](np.linspace(0, 1, len(slopes) + 2)[1:-1]))
    words = f"{caption} {_legend(slopes['layer'], seeds_of(rows))}"
    with drawing(figure, 10.5, max(4.8, 0.17 * len(slopes) + 1.6), words) as canvas:
        left, right = canvas.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1]})
        _draw_changes(left, last, list(slopes["layer"]), colors, over)
        _draw_slopes(right, slopes, tolerance)
        right.set_yticks(range(len(slopes)), slopes["layer"], fontsize=8)
        for tick, color in zip(right.get_yticklabels(), colors, strict=True):
            tick.set_bbox({"facecolor": "none", "edgecolor": color, "pad": 1.2, "linewidth": 1.2})
        canvas.legend(loc="outside upper right", frameon=False, ncols=6, fontsize=8)
    return whole_of(canvas)


def _legend(layers: pd.Series, seeds: str) -> str:
    """Return what lines, bands, bars and names mean."""
    band = "" if len(layers) > FEW_LAYERS else "; band: lowest to highest seed"
    sentences = [
        f"Left: line: mean over {seeds}{band}; color: that of the frame around the layer's name.",
        "Right: bar: 95 % interval of the slope.",
        *(f"{explained}." for explained in explained_names(layers)),
    ]
    return " ".join(sentences)


def _draw_changes(
    ax: Axes, last: pd.DataFrame, layers: Sequence[str], colors: Sequence[Any], over: str
) -> None:
    """Draw change against width or depth, a line per layer."""
    for layer, color in zip(layers, colors, strict=True):
        part = last[(last["layer"] == layer) & np.isfinite(last["change"])]
        few = len(layers) <= FEW_LAYERS
        style = {"color": color, "marker": "o", "markersize": 4, "linewidth": 1.3}
        draw_over_seeds(ax, part, over, "change", band=few, **style)
    drawable = "log" if (last["change"] > 0).any() else "linear"
    ax.set(xscale="log", yscale=drawable, xlabel=over, ylabel="RMS change of the layer's output")
    ax.xaxis.set_major_locator(FixedLocator(sorted(last[over].unique())))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def _draw_slopes(ax: Axes, slopes: pd.DataFrame, tolerance: float) -> None:
    """Draw slope and interval of each layer, the first on top; at 0 where there is none."""
    ax.axvspan(-tolerance, tolerance, color="#009E73", alpha=0.12, linewidth=0)
    height = pd.Series(range(len(slopes)), index=slopes.index)
    for verdict, part in slopes.groupby("verdict", sort=False):
        style, at = mark_of(str(verdict)), height[part.index]
        known = part["slope"].notna()
        ax.hlines(at[known], part["low"][known], part["high"][known], color=style["color"])
        ax.plot(part["slope"].fillna(0), at, linestyle="", label=verdict, **style)
    ends = slopes[["low", "high"]].abs().to_numpy()
    reach = min(WIDEST, 1.1 * max(2 * tolerance, float(np.nanmax([*ends.ravel(), 0]))))
    ax.set(xlim=(-reach, reach), ylim=(len(slopes) - 0.5, -0.5))
    ax.set_xlabel(f"slope of log change / log width, 95 % (shaded: within ±{tolerance:g})")
