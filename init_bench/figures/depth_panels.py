"""What is drawn over depth: lines by role, a strip of histograms, names below that can be read."""

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

ROLES = {
    "weights": ("#9A9A9A", "#8FB8DE", "layers with weights"),
    "nonlinear": ("#222222", "#2F5FA8", "nonlinearities"),
    "rest": ("#C4C4C4", "#C9DDF0", "others (normalisation, pooling …)"),
}
"""What multiplies, what bends, and the rest, as dots: colour, colour at a later step, words."""


THEORY: dict[str, Any] = {
    "color": "#F2C879",
    "linewidth": 5.0,
    "zorder": 1,
    "solid_capstyle": "butt",
}
"""A broad pale band, on which the measured line runs where theory is right."""


STRIP_COLOURS = "Greys"


NOT_FINITE = "#7F0000"


NAMED_LAYERS = 40
"""Up to this many layers each is named below the axis; beyond, every n-th, and each at fault."""


NAME_SPACE = 7.5
"""Points along the axis that a name takes."""


AXIS_SHARE = 0.8
"""Of the figure's width, about what the axis takes beside labels and legend."""


FLOOR = 1e-12
"""Values below are drawn at the foot of the logarithmic axis: 0 has no place on one."""


def draw_lines(
    ax: Axes, look: pd.DataFrame, column: str, *, later: bool = False, suffix: str | None = None
) -> None:
    """Draw one column by role: roles alternate, one line through all would be a saw.

    Args:
        ax: the panel.
        look: a row per layer with its ``place``.
        column: what to draw.
        later: whether in the colours of a later step, and without the dots.
        suffix: of the words in the legend; ``None`` for no words.
    """
    for role, part in _by_role(look[look[column].notna()]):
        if later and role == "rest":
            continue
        style: dict[str, Any] = {"linestyle": (0, (5, 1.5)) if later else "-", "linewidth": 1.4}
        if role == "rest":
            style = {"linestyle": "none", "marker": ".", "markersize": 3}
        label = "_" if suffix is None else f"{ROLES[role][2]}{suffix}"
        ax.plot(
            part["place"], log_safe(part[column]), color=ROLES[role][later], label=label, **style
        )


def draw_whole_spread(ax: Axes, look: pd.DataFrame) -> None:
    """Draw std dotted above sample_std: between them lies what no sample changes."""
    for role, part in _by_role(look):
        if role == "rest":
            continue
        total = log_safe(part["std"])
        ax.plot(part["place"], total, color=ROLES[role][0], linewidth=1, linestyle=":")


def draw_theory(
    ax: Axes, look: pd.DataFrame, expected: pd.DataFrame, column: str, label: str
) -> None:
    """Draw what is expected of the layers of ``look`` that ``expected`` names."""
    known = expected.set_index("layer")[column]
    beside = look.assign(known=look["layer"].map(known)).dropna(subset=["known"])
    for _, part in _by_role(beside):
        ax.plot(part["place"], log_safe(part["known"]), label=label, **THEORY)
        label = "_"


def draw_strip(ax: Axes, look: pd.DataFrame, histograms: pd.DataFrame, title: str) -> None:
    """Draw each layer's histogram as a column of cells, and what the colours mean beside it."""
    table = histograms.pivot(index="centre", columns="index", values="share")
    cells = table.reindex(columns=look["index"]).to_numpy()
    half = (table.index[1] - table.index[0]) / 2
    bottom, top = table.index[0] - half, table.index[-1] + half
    # An image, not a mesh: in SVG a mesh of 500 layers is 20 000 paths.
    image = ax.imshow(
        cells,
        extent=(0.5, len(look) + 0.5, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=mpl.colormaps[STRIP_COLOURS].with_extremes(bad=NOT_FINITE),
        norm=PowerNorm(0.5, vmin=0, vmax=1),
    )
    scale = ax.inset_axes((1.015, 0.0, 0.012, 1.0))
    ax.figure.colorbar(image, cax=scale, label="share of values", ticks=[0, 0.1, 0.3, 1])
    ax.set(ylabel="value / RMS")
    ax.set_title(f"{title} (dark red: not finite)" if np.isnan(cells).any() else title, fontsize=9)
    ax.grid(visible=False)


def name_layers(ax: Axes, look: pd.DataFrame, colours: Mapping[int, str], *, width: float) -> None:
    """Name layers below the axis: those at fault in their colour, and of the rest what has room.

    Where there is no room for all at fault, the first are named.

    Args:
        ax: the lowest panel.
        look: a row per layer with its ``place``.
        colours: by place of the layers at fault.
        width: of the figure, in inches.
    """
    points = 72 * AXIS_SHARE * width
    gap = max(1, round(len(look) * NAME_SPACE / points))
    every = max(gap, -(-len(look) // NAMED_LAYERS))
    named: list[int] = []
    for place in (*sorted(colours), *look["place"][::every]):
        if all(abs(place - other) >= gap for other in named):
            named.append(int(place))
    names = look.set_index("place")["layer"]
    ax.set_xticks(named, [_short(names[place]) for place in named], rotation=90)
    for place, tick in zip(named, ax.get_xticklabels(), strict=True):
        tick.set(fontsize=6.5, color=colours.get(place, "#333333"))
        tick.set_fontweight("bold" if place in colours else "normal")
    ax.set_xlabel("layer, in order of execution")


def log_safe(values: pd.Series) -> np.ndarray:
    """Return ``values``, those with no place on a logarithmic axis at its foot."""
    safe: np.ndarray = np.maximum(values.to_numpy(float), FLOOR)
    return safe


def _by_role(look: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each role that there is."""
    role = pd.Series("rest", index=look.index).mask(look["weight_gain"].notna(), "weights")
    role = role.mask(look["nonlinear"].astype(bool), "nonlinear")
    for name in ROLES:
        if (role == name).any():
            yield name, look[role == name]


def _short(name: str) -> str:
    return name if len(name) <= 28 else "…" + name[-27:]
