"""Draw the histograms of each layer's activations: figures 6-10 to 6-14."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from init_bench.figures.style import Canvas, drawing, label_of, line_of, need, whole_of
from init_bench.words import counted

TALLEST = 0.2
"""Top of the share axis: a bar above it is cut and its share written on it."""


RANGES = {"book": "the book's range, 0 to 1", "full": "full range, signed"}


def activation_histograms(
    frame: pd.DataFrame, *, caption: str, figure: Canvas | None = None
) -> Figure:
    """Draw the share of activations by value, a panel per layer, a row per initializer.

    Args:
        frame: columns ``init``, ``activation``, ``layer``, ``range`` (``book`` or ``full``; a
            column of panels for each), ``centre``, ``width``, ``share`` (of all activations of
            the layer, mean over seeds), ``std``, ``sample_std``, ``seeds``.
        caption: written below, followed by the number of seeds.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> frame = pd.DataFrame({"centre": [0.25, 0.75], "share": [0.1, 0.9]})
        >>> frame = frame.assign(init="he_normal", activation="relu", layer=1, range="book",
        ...                      width=0.5, std=0.4, sample_std=0.3, seeds=1)
        >>> activation_histograms(frame, caption="Figure 6-14.").axes[0].get_xlabel()
        'activation z'
    """
    need(frame, "init", "layer", "range", "centre", "width", "share", "std", "sample_std", "seeds")
    inits, ranges = list(frame["init"].unique()), list(frame["range"].unique())
    layers = frame["layer"].nunique()
    mean = f"Mean over {counted(int(frame['seeds'].iloc[0]), 'seed')}"
    words = f"{caption} {mean}. Bars above 20 % are cut off; their share is written."
    with drawing(figure, 1.35 * layers * len(ranges) + 0.8, 2 * len(inits) + 1.2, words) as canvas:
        parts = canvas.subfigures(1, len(ranges), squeeze=False, wspace=0.02)[0]
        for part, name in zip(parts, ranges, strict=True):
            _draw_range(part, frame[frame["range"] == name], inits)
            if len(ranges) > 1:
                part.suptitle(RANGES[name], fontsize=10)
    return whole_of(canvas)


def _draw_range(part: SubFigure, frame: pd.DataFrame, inits: list[str]) -> None:
    layers = list(frame["layer"].unique())
    axes = part.subplots(len(inits), len(layers), sharey=True, sharex="row", squeeze=False)
    for row, init in zip(axes, inits, strict=True):
        for ax, layer in zip(row, layers, strict=True):
            bins = frame[(frame["init"] == init) & (frame["layer"] == layer)]
            _draw_bars(ax, bins)
            lines = [f"layer {layer}"] if init == inits[0] else []
            ax.set_title("\n".join(lines + _numbers(bins)), fontsize=8)
        row[0].set_ylabel(f"{label_of(init)}\nshare".replace(" (", "\n("), fontsize=8.5)
    for ax in axes[-1]:
        ax.set_xlabel("activation z", fontsize=8.5)


def _draw_bars(ax: Axes, bins: pd.DataFrame) -> None:
    color = line_of(bins["init"].iloc[0])["color"]
    ends = bins["centre"] + bins["width"] / 2
    edges = [ends.iloc[0] - bins["width"].iloc[0], *ends]
    ax.stairs(bins["share"], edges, fill=True, color=color, linewidth=0)
    ax.set_ylim(0, TALLEST)
    ax.set_yticks([0, TALLEST / 2, TALLEST])
    ax.tick_params(labelsize=7.5)
    low, high = bins["centre"].min(), bins["centre"].max()
    for center, width, share in bins[["centre", "width", "share"]].to_numpy():
        if share > TALLEST:
            # Away from the middle where the bar is near it, inwards where it is near an end.
            position = (center - low) / (high - low)
            side = 1 if position < 0.25 or 0.5 <= position < 0.75 else -1
            ax.annotate(
                f"{share:.0%}",
                (center + side * width / 2, TALLEST * 0.98),
                xytext=(2 * side, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="top",
                fontsize=7.5,
                fontweight="bold",
            )


def _numbers(bins: pd.DataFrame) -> list[str]:
    """Return std and sample_std of a layer as lines of a title."""
    row = bins.iloc[0]
    return [f"std {row['std']:.2g}", f"sample_std {row['sample_std']:.2g}"]
