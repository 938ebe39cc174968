"""Draw training: loss curves (figure 6-15) and the number of distinct hidden units."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from scipy import ndimage

from init_bench.errors import InitBenchError
from init_bench.figures.style import (
    RC,
    Canvas,
    add_caption,
    drawing,
    figure_of,
    label_of,
    line_of,
    need,
    panel_of,
    seeds_of,
    whole_of,
)

SMOOTHING_STEPS, SMOOTHING_BETA = 11, 2.0
"""The book's smoothing: a Kaiser window of 11 steps, β = 2, the ends mirrored."""


WIDEST_LINE, MARKERS_PER_LINE = 2.4, 10
"""Width of a solid line in points; markers on each line."""


def loss_curves(
    frame: pd.DataFrame, *, caption: str = "", classes: int | None = 10, ax: Axes | None = None
) -> Figure:
    """Draw the loss over steps: mean over seeds, smoothed, with a band of ±1 sd over seeds.

    Args:
        frame: columns ``init``, ``seed``, ``step``, ``loss``; a line ends where the first of its
            seeds diverged.
        caption: written below, followed by what the lines are.
        classes: of the data set: their log is the loss of chance. ``None`` draws no such line:
            the classes are not known, or there are none.
        ax: panel to draw into, then without the caption; default: a new figure.

    Raises:
        InitBenchError: a column is missing, there are no rows, or there is more than one curve
            for an initializer and seed.

    Example:
        >>> frame = pd.DataFrame({"init": "he_normal", "seed": 0, "step": range(20), "loss": 2.0})
        >>> loss_curves(frame, caption="").axes[0].get_xlabel()
        'step'
    """
    need(frame, "init", "seed", "step", "loss")
    with mpl.rc_context(RC):
        panel = panel_of(ax, 7.2, 4.8)
        draw_losses(panel, frame, classes=classes)
        panel.legend(frameon=False, fontsize=9, handlelength=3.5)
        if ax is None:
            add_caption(
                figure_of(panel),
                f"{caption} Line: mean over {seeds_of(frame)}, smoothed as in the book (Kaiser "
                "window, 11 steps); band: ±1 standard deviation over seeds; faint: mean, not "
                "smoothed.",
            )
    return figure_of(panel)


def symmetry(
    layers: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    caption: str,
    classes: int | None = 10,
    figure: Canvas | None = None,
) -> Figure:
    """Draw the number of distinct hidden units during training, beside the loss.

    Args:
        layers: rows of kind ``weight`` of the hidden layers: ``init``, ``seed``, ``step``,
            ``layer``, ``distinct``. The most over layers is drawn, the mean over seeds.
        curves, classes: as for ``loss_curves``.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> layers = pd.DataFrame({"init": "zeros", "seed": 0, "step": [0, 10], "layer": "fc1",
        ...                        "distinct": 1})
        >>> curves = pd.DataFrame({"init": "zeros", "seed": 0, "step": range(20), "loss": 2.3})
        >>> [ax.get_title() for ax in symmetry(layers, curves, caption="").axes]
        ['how many hidden units differ', 'loss']
    """
    need(layers, "init", "seed", "step", "layer", "distinct")
    need(curves, "init", "seed", "step", "loss")
    most = layers.groupby(["init", "seed", "step"], sort=False)["distinct"].max()
    mean = most.groupby(["init", "step"], sort=False).mean().reset_index()
    words = (
        f"{caption} Lines: mean over {seeds_of(curves)}; the loss smoothed over 11 steps, its "
        "band ±1 standard deviation over seeds."
    )
    with drawing(figure, 10, 4.4, words) as canvas:
        left, right = canvas.subplots(1, 2)
        for position, (init, part) in enumerate(mean.groupby("init", sort=False)):
            line = line_of(str(init), position)
            left.plot(part["step"], part["distinct"], label=label_of(str(init)), ms=6, **line)
        left.set(yscale="log", xlabel="step", ylabel="distinct units (most of any hidden layer)")
        left.set_title("how many hidden units differ", fontsize=10)
        left.set_ylim(0.8, 1.5 * mean["distinct"].max())
        left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        left.legend(frameon=False, fontsize=8.5, loc="center right", handlelength=3.5)
        draw_losses(right, curves, classes=classes)
        right.set_title("loss", fontsize=10)
    return whole_of(canvas)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Return ``losses`` smoothed as in the book.

    Formula:
        a convolution with a Kaiser window, its ends mirrored.

    Shapes:
        losses: ``(steps,)``; so is the result.

    Source:
        Saito, Deep Learning from Scratch, 2016, ``common/util.py``.

    Example:
        >>> smooth(np.ones(20)).round(6).tolist() == [1.0] * 20
        True
    """
    window = np.kaiser(SMOOTHING_STEPS, SMOOTHING_BETA)
    smoothed: np.ndarray = ndimage.convolve1d(losses, window / window.sum(), mode="mirror")
    return smoothed


def _visible_style(dash: Any, earlier: list[Any]) -> dict[str, Any]:
    """Return dash, width and order by which lines of equal values do not hide each other.

    Lines with more gaps are drawn on top and thinner. Of two lines of one dash, the later one
    starts where the gap of the earlier is; a second solid line gets gaps. ``dash`` is added to
    those of ``earlier`` lines.
    """
    if dash == "-" and dash in earlier:
        dash = (0, (9, 4))
    repeats = earlier.count(dash)
    earlier.append(dash)
    if dash == "-":
        return {"linestyle": dash, "linewidth": WIDEST_LINE, "zorder": 2.0}
    _, lengths = dash
    gaps = float(sum(lengths[1::2]) / sum(lengths))
    return {
        "linestyle": (repeats * lengths[0], lengths),
        "linewidth": max(1.0, WIDEST_LINE - 2 * gaps - 0.4 * repeats),
        "zorder": 2 + gaps + 0.01 * repeats,
    }


def draw_losses(
    ax: Axes,
    frame: pd.DataFrame,
    lines: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    classes: int | None = 10,
) -> None:
    """Draw each initializer's loss over steps, mean and band, with its own line or ``lines``."""
    if frame.duplicated(["init", "seed", "step"]).any():
        raise InitBenchError(
            "the frame has several curves for one init and seed; choose the rows of one value of "
            "every other axis first, such as frame[frame['lr'] == 0.01]"
        )
    dashes: list[Any] = []
    for position, (init, part) in enumerate(frame.groupby("init", sort=False)):
        line = (lines or {}).get(str(init)) or line_of(str(init), position)
        by_seed = part.pivot(index="step", columns="seed", values="loss").astype(float)
        by_seed = by_seed.replace([np.inf, -np.inf], np.nan).dropna()
        if by_seed.empty:
            ax.plot([], [], label=f"{label_of(str(init))} (diverged at once)", **line)
        else:
            _draw_loss(ax, by_seed, label_of(str(init)), line, dashes)
    ax.set(xlabel="step", ylabel="training loss" + " (cross-entropy)" * (classes is not None))
    if classes is not None:
        _mark_chance(ax, classes)


def _draw_loss(
    ax: Axes, by_seed: pd.DataFrame, label: str, line: Mapping[str, Any], dashes: list[Any]
) -> None:
    """Draw one initializer's loss, a column per seed: its mean, smoothed too, and a band."""
    raw, spread = by_seed.mean(axis=1), by_seed.std(axis=1, ddof=1).fillna(0)
    mean, sd = smooth(raw.to_numpy()), smooth(spread.to_numpy())
    every = max(1, math.ceil(len(raw) / MARKERS_PER_LINE))
    first_marker = math.ceil(every * len(dashes) / 4) % every
    style = {**line, "markevery": (first_marker, every), "markersize": 5}
    ax.plot(raw.index, raw, color=line["color"], linewidth=0.5, alpha=0.3)
    ax.fill_between(raw.index, mean - sd, mean + sd, color=line["color"], alpha=0.2, lw=0)
    ax.plot(
        *(raw.index, mean),
        label=label,
        **style | _visible_style(line["linestyle"], dashes),
    )


def _mark_chance(ax: Axes, classes: int) -> None:
    """Draw the loss of a network that gives all classes the same probability."""
    chance = math.log(classes)
    ax.set_ylim(0, max(ax.get_ylim()[1], 1.05 * chance))
    ax.axhline(chance, color="#555555", linewidth=0.8, linestyle=":")
    ax.annotate(
        f"chance, log {classes}",
        (1, chance),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="#555555",
    )
