"""Draw what `initialize` did: the standard deviation of each parameter, aimed at and measured."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.depth_panels import log_safe, name_layers, width_for
from init_bench.figures.style import RC, add_caption, figure_of, need, panel_of


def parameter_stds(
    parameters: pd.DataFrame, *, caption: str = "", ax: Axes | None = None
) -> Figure:
    """Draw the measured std of each parameter and, as a bar, the one its initializer aims at.

    Args:
        parameters: columns ``parameter``, ``std_nominal`` (nan where nothing is stated) and
            ``std_measured``, as the table of ``initialize``'s report has them.
        caption: written below.
        ax: panel to draw into, then without the caption; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = pd.DataFrame(
        ...     {"parameter": ["fc1.weight"], "std_nominal": [0.1], "std_measured": [0.101]})
        >>> parameter_stds(rows, caption="one layer").axes[0].get_ylabel()
        'standard deviation'
    """
    need(parameters, "parameter", "std_nominal", "std_measured")
    drawn = parameters.assign(place=np.arange(1, len(parameters) + 1))
    stated = drawn[drawn["std_nominal"] > 0]
    filled = drawn[drawn["std_measured"] > 0]
    width = width_for(len(drawn))
    with mpl.rc_context(RC):
        panel = panel_of(ax, width, 3.8)
        nominal, measured = (
            log_safe(part[name])
            for part, name in ((stated, "std_nominal"), (filled, "std_measured"))
        )
        bars: dict[str, Any] = {"marker": "_", "markersize": 12, "color": "#E69F00"}
        panel.plot(stated["place"], nominal, linestyle="none", label="nominal", **bars)
        panel.plot(filled["place"], measured, ".", color="#222222", label="measured")
        panel.set(yscale="log" if len(filled) else "linear", ylabel="standard deviation")
        panel.legend(frameon=False, fontsize=8)
        what = "parameter; those that are constant have no point"
        rows = drawn.rename(columns={"parameter": "layer"})
        name_layers(panel, rows, {}, width=figure_of(panel).get_figwidth(), what=what)
        if ax is None:
            add_caption(figure_of(panel), caption)
    return figure_of(panel)
