"""Draw what `capture` recorded: the spread of outputs and gradients in order of execution."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.depth_panels import log_safe, name_layers, width_for
from init_bench.figures.style import Canvas, drawing, need, whole_of

OUTPUTS: dict[str, dict[str, Any]] = {
    "pre_activation": {"color": "#9A9A9A", "marker": "s", "label": "layers with weights"},
    "activation": {"color": "#222222", "marker": "o", "label": "other layers"},
}
"""Color, marker and label of an output, by its kind."""


def captured_layers(layers: pd.DataFrame, *, caption: str, figure: Canvas | None = None) -> Figure:
    """Draw ``sample_std`` and ``std`` of each layer's output and, if known, std of its gradient.

    Args:
        layers: the table of ``capture``, or other rows with its columns ``layer``, ``index``,
            ``kind``, ``std`` and ``sample_std``.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [("fc1", 1, "pre_activation", 0.5, 0.4), ("act1", 2, "activation", 0.3, 0.2)]
        >>> names = ["layer", "index", "kind", "std", "sample_std"]
        >>> figure = captured_layers(pd.DataFrame(rows, columns=names), caption="two layers")
        >>> figure.axes[0].get_ylabel()
        'spread of the output'
    """
    need(layers, "layer", "index", "kind", "std", "sample_std")
    outputs = layers[layers["kind"].isin(OUTPUTS)].sort_values("index", kind="stable")
    outputs = outputs.assign(place=np.arange(1, len(outputs) + 1))
    gradients = layers[layers["kind"] == "gradient"]
    rows = 1 if gradients.empty else 2
    width = width_for(len(outputs))
    words = f"{caption} Dotted: std; the gap is what does not depend on the input."
    with drawing(figure, width, 2.6 * rows + 1.2, words) as canvas:
        panels = canvas.subplots(rows, sharex=True, squeeze=False)[:, 0]
        _draw_outputs(panels[0], outputs)
        if rows == 2:
            placed = gradients.merge(outputs[["index", "place"]], on="index")
            panels[1].plot(placed["place"], log_safe(placed["std"]), color="#222222", marker=".")
            panels[1].set(yscale="log", ylabel="std of ∂loss/∂output")
        name_layers(panels[-1], outputs, {}, width=width)
    return whole_of(canvas)


def _draw_outputs(ax: Axes, outputs: pd.DataFrame) -> None:
    for kind, style in OUTPUTS.items():
        part = outputs[outputs["kind"] == kind]
        if part.empty:
            continue
        ax.plot(part["place"], log_safe(part["sample_std"]), markersize=3, linewidth=1.4, **style)
        total = log_safe(part["std"])
        ax.plot(part["place"], total, color=style["color"], linewidth=1, linestyle=":")
    ax.set(yscale="log", ylabel="spread of the output")
    ax.set_title("signal: sample_std, the part that depends on the input", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
