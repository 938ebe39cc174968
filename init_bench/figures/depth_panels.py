"""Draw statistics over depth: lines by role, histograms as columns, and readable layer names."""

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from init_bench.figures.style import explained_names

ROLES = {
    "weights": ("#9A9A9A", "#8FB8DE", "layers with a weight matrix"),
    "nonlinear": ("#222222", "#2F5FA8", "nonlinearities"),
    "rest": ("#C4C4C4", "#C9DDF0", "others (normalization, pooling …)"),
}
"""Role of a layer: color, color at a later step, label. The rest is drawn as dots."""


THEORY: dict[str, Any] = {
    "color": "#F2C879",
    "linewidth": 5.0,
    "zorder": 1,
    "solid_capstyle": "butt",
}
"""A wide pale line: where theory is right, the measured line runs on it."""


STRIP_COLORS = "Grays"


NOT_FINITE = "#7F0000"


NAMED_LAYERS = 40
"""At most this many layers are all named below the axis; of more, every n-th and each at fault."""


NAME_SPACE = 7.5
"""Points along the axis that a name takes."""


AXIS_SHARE = 0.8
"""Approximate share of the figure's width that the axis takes."""


FLOOR = 1e-12
"""Smaller values are drawn here: a logarithmic axis has no 0."""


def draw_lines(
    ax: Axes, layers: pd.DataFrame, column: str, *, later: bool = False, suffix: str | None = None
) -> None:
    """Draw one column, a line per role: a line through layers of all roles would zigzag.

    Args:
        ax: the panel.
        layers: a row per layer with its ``place``.
        column: what to draw.
        later: whether to use the colors of a later step, without the dots.
        suffix: added to the labels of the legend; ``None`` for no labels.
    """
    for role, part in _by_role(layers[layers[column].notna()]):
        if later and role == "rest":
            continue
        style: dict[str, Any] = {"linestyle": (0, (5, 1.5)) if later else "-", "linewidth": 1.4}
        if role == "rest":
            style = {"linestyle": "none", "marker": ".", "markersize": 3}
        label = "_" if suffix is None else f"{ROLES[role][2]}{suffix}"
        ax.plot(
            part["place"], log_safe(part[column]), color=ROLES[role][later], label=label, **style
        )


def draw_whole_spread(ax: Axes, layers: pd.DataFrame) -> None:
    """Draw std, dotted, above sample_std: the gap is the part that does not depend on the input."""
    for role, part in _by_role(layers):
        if role == "rest":
            continue
        total = log_safe(part["std"])
        ax.plot(part["place"], total, color=ROLES[role][0], linewidth=1, linestyle=":")


def draw_theory(
    ax: Axes, layers: pd.DataFrame, expected: pd.DataFrame, column: str, label: str
) -> None:
    """Draw the predicted values of those ``layers`` that ``expected`` names."""
    known = expected.set_index("layer")[column]
    predicted = layers.assign(known=layers["layer"].map(known)).dropna(subset=["known"])
    for _, part in _by_role(predicted):
        ax.plot(part["place"], log_safe(part["known"]), label=label, **THEORY)
        label = "_"


def draw_strip(ax: Axes, layers: pd.DataFrame, histograms: pd.DataFrame, title: str) -> None:
    """Draw each layer's histogram as a column of cells, with a color bar."""
    table = histograms.pivot(index="centre", columns="index", values="share")
    cells = table.reindex(columns=layers["index"]).to_numpy()
    half = (table.index[1] - table.index[0]) / 2
    bottom, top = table.index[0] - half, table.index[-1] + half
    # An image, not a mesh: in SVG a mesh of 500 layers is 20 000 paths.
    image = ax.imshow(
        cells,
        extent=(0.5, len(layers) + 0.5, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=mpl.colormaps[STRIP_COLORS].with_extremes(bad=NOT_FINITE),
        norm=PowerNorm(0.5, vmin=0, vmax=1),
    )
    scale = ax.inset_axes((1.015, 0.0, 0.012, 1.0))
    ax.figure.colorbar(image, cax=scale, label="share of values", ticks=[0, 0.1, 0.3, 1])
    ax.set(ylabel="value / RMS")
    ax.set_title(f"{title} (dark red: not finite)" if np.isnan(cells).any() else title, fontsize=9)
    ax.grid(visible=False)


def width_for(number: int) -> float:
    """Return the width, in inches, of a figure with so many layers or parameters in a row."""
    return min(16.0, max(8.0, 0.16 * number + 4))


def name_layers(
    ax: Axes,
    layers: pd.DataFrame,
    colors: Mapping[int, str],
    *,
    width: float,
    what: str = "layer, in order of execution",
) -> None:
    """Name layers below the axis: those at fault in their color, others where there is room.

    Where there is no room for all at fault, the first ones are named. The label says how many are.

    Args:
        ax: the lowest panel.
        layers: a row per layer with its ``place``.
        colors: color of each layer at fault, by place.
        width: of the figure, in inches.
        what: label of the axis.
    """
    points = 72 * AXIS_SHARE * width
    gap = max(1, round(len(layers) * NAME_SPACE / points))
    every = max(gap, -(-len(layers) // NAMED_LAYERS))
    named: list[int] = []
    for place in (*sorted(colors), *layers["place"][::every]):
        if all(abs(place - other) >= gap for other in named):
            named.append(int(place))
    names = layers.set_index("place")["layer"]
    ax.set_xticks(named, [_short(names[place]) for place in named], rotation=90)
    for place, tick in zip(named, ax.get_xticklabels(), strict=True):
        tick.set(fontsize=6.5, color=colors.get(place, "#333333"))
        tick.set_fontweight("bold" if place in colors else "normal")
    left_out = [f"{len(named)} of {len(layers)} are named"] if len(named) < len(layers) else []
    ax.set_xlabel("; ".join([what, *left_out, *explained_names(layers["layer"])]))


def log_safe(values: pd.Series) -> np.ndarray:
    """Return ``values``, those below ``FLOOR`` raised to it, for a logarithmic axis."""
    safe: np.ndarray = np.maximum(values.to_numpy(float), FLOOR)
    return safe


def _by_role(layers: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each role that occurs, with its rows."""
    role = pd.Series("rest", index=layers.index).mask(layers["weight_gain"].notna(), "weights")
    role = role.mask(layers["nonlinear"].astype(bool), "nonlinear")
    for name in ROLES:
        if (role == name).any():
            yield name, layers[role == name]


def _short(name: str) -> str:
    return name if len(name) <= 28 else "…" + name[-27:]
