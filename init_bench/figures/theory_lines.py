"""Draw measured quantities with the theory over them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from init_bench.figures.seed_lines import draw_over_seeds
from init_bench.figures.style import Canvas, drawing, line_of, need, whole_of

_MEASURED: dict[str, Any] = {"linestyle": "-", "linewidth": 0.7, "markersize": 5.5}


_THEORY: dict[str, Any] = {"linestyle": (0, (3, 2)), "linewidth": 1.8, "alpha": 0.85}


_FEW = 8
"""Up to so many places on a logarithmic axis have a tick each."""


@dataclass(frozen=True)
class Panel:
    """Describe a panel: the quantity it shows, its axes, and lines at values worth a mark.

    Attributes:
        quantity: rows of this ``quantity`` are drawn.
        x, y: labels of the axes; ``y`` is the quantity unless said.
        title: above the panel, where it says more than ``y``.
        log_x, log_y: whether an axis is logarithmic.
        mark_x, mark_y: a value on that axis and its name, drawn as a gray line.
        low_y, high_y: ends of the vertical axis, if they matter.

    Example:
        >>> Panel("std", "layer", "std of the layer", log_y=True).quantity
        'std'
    """

    quantity: str
    x: str
    y: str = ""
    _: KW_ONLY
    title: str = ""
    log_x: bool = False
    log_y: bool = False
    mark_x: tuple[float, str] | None = None
    mark_y: tuple[float, str] | None = None
    low_y: float | None = None
    high_y: float | None = None


def measured_and_expected(
    measured: pd.DataFrame,
    expected: pd.DataFrame,
    panels: Sequence[Panel],
    *,
    caption: str,
    figure: Canvas | None = None,
) -> Figure:
    """Draw a panel per quantity: measured lines with their range over seeds, theory dashed.

    Args:
        measured: ``quantity, series, x, seed, value``: a row per seed.
        expected: ``quantity, series, x, value``: what theory says, of any or all of the series.
        panels: which quantities to draw, left to right.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [("std", "he_normal", x, seed, 1.0) for x in (1, 2) for seed in (0, 1)]
        >>> names = ["quantity", "series", "x", "seed", "value"]
        >>> panel = Panel("std", "layer", "std of activations")
        >>> measured = pd.DataFrame(rows, columns=names)
        >>> theory = measured.drop(columns="seed")
        >>> figure = measured_and_expected(measured, theory, [panel], caption="")
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['he_normal', 'theory']
    """
    need(measured, "quantity", "series", "x", "seed", "value")
    if len(expected):
        need(expected, "quantity", "series", "x", "value")
    with drawing(figure, 4.2 * len(panels) + 1.8, 4.0, caption) as canvas:
        for ax, panel in zip(
            canvas.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            tables = (table[table["quantity"] == panel.quantity] for table in (measured, expected))
            _draw(ax, panel, *tables)
        drawn = {panel.quantity for panel in panels}
        _add_legend(canvas, theory=bool(expected["quantity"].isin(drawn).any()))
    return whole_of(canvas)


def _draw(ax: Axes, panel: Panel, measured: pd.DataFrame, expected: pd.DataFrame) -> None:
    names = list(dict.fromkeys([*measured["series"], *expected["series"]]))
    for place, name in enumerate(names):
        style = {**line_of(name, place), **_MEASURED, "label": name}
        draw_over_seeds(ax, measured[measured["series"] == name], "x", "value", **style)
        theory = expected[expected["series"] == name].sort_values("x")
        ax.plot(theory["x"], theory["value"], color=style["color"], zorder=3, **_THEORY)
    for mark, line, at in ((panel.mark_x, ax.axvline, "x"), (panel.mark_y, ax.axhline, "y")):
        if mark:
            line(mark[0], color="#666666", linewidth=0.9, zorder=0)
            _name_mark(ax, mark, at)
    _scale(ax, panel)
    places = sorted(set(measured["x"]))
    if panel.log_x and len(places) <= _FEW:
        ax.set_xticks(places, [f"{place:g}" for place in places])
        ax.xaxis.set_minor_formatter(NullFormatter())
    elif all(place % 1 == 0 for place in places):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _add_legend(figure: Canvas, *, theory: bool) -> None:
    """Name every series of any panel once, beside the panels."""
    named: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if theory:
        named["theory"] = Line2D([], [], color="k", **_THEORY)
    figure.legend(
        list(named.values()), list(named), loc="outside right upper", fontsize=8, frameon=False
    )


def _name_mark(ax: Axes, mark: tuple[float, str], axis: str) -> None:
    """Write the name of a marked value at the end of its line."""
    value, name = mark
    across = axis == "y"
    place = (1.0, value) if across else (value, 1.0)
    along = ax.get_yaxis_transform() if across else ax.get_xaxis_transform()
    ax.text(*place, name, transform=along, ha="right", va="bottom" if across else "top", fontsize=7)


def _scale(ax: Axes, panel: Panel) -> None:
    if panel.log_x:
        ax.set_xscale("log")
    if panel.log_y:
        ax.set_yscale("log")
    ax.set_ylim(panel.low_y, panel.high_y)
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y or panel.quantity)
    ax.set_title(panel.title, fontsize=9.5)
