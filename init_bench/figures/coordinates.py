"""`coordinate_curves`: how far each layer's outputs move, against width."""

from collections.abc import Hashable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from init_bench.figures.style import RC, add_caption, need, new_figure, seeds_of

_MARKERS = "osD^vPX"


def coordinate_curves(rows: pd.DataFrame, slopes: pd.DataFrame, *, caption: str) -> Figure:
    """Draw the change of each layer's output at the last step against width, a line per layer.

    Args:
        rows: columns ``width``, ``seed``, ``step``, ``layer``, ``index``, ``change``.
        slopes: columns ``layer``, ``slope``, ``low``, ``high``, ``verdict``, for the legend.
        caption: written below.

    Returns:
        A figure outside pyplot's state; neither a frame nor the global theme is altered.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(rows, "width", "seed", "step", "layer", "index", "change")
    need(slopes, "layer", "slope", "low", "high", "verdict")
    last = rows[rows["step"] == rows["step"].max()]
    colours = sns.color_palette("viridis", len(slopes))
    with mpl.rc_context(RC):
        figure = new_figure(9.6, max(4.8, 0.24 * len(slopes)))
        ax = figure.subplots()
        for at, row in enumerate(slopes.to_dict("records")):
            part = last[(last["layer"] == row["layer"]) & np.isfinite(last["change"])]
            sns.lineplot(
                part,
                x="width",
                y="change",
                errorbar=("pi", 100),
                ax=ax,
                color=colours[at],
                marker=_MARKERS[at % len(_MARKERS)],
                label=_label(row),
                legend=False,
            )
        drawable = "log" if (last["change"] > 0).any() else "linear"
        ax.set(xscale="log", yscale=drawable, xlabel="width", ylabel="RMS change of the output")
        ax.xaxis.set_major_locator(FixedLocator(sorted(last["width"].unique())))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        figure.legend(
            loc="outside right upper", frameon=False, title="layer: slope [95 %], verdict"
        )
        add_caption(figure, f"{caption} Line: mean over {seeds_of(rows)}; band: their range.")
    return figure


def _label(row: dict[Hashable, Any]) -> str:
    if not np.isfinite(row["slope"]):
        return f"{row['layer']}: {row['verdict']}"
    interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['layer']}: {row['slope']:.2f} {interval}, {row['verdict']}"
