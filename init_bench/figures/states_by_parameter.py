"""Draw one value per parameter, in order, colored by the parameter's state."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.style import RC, add_caption, figure_of, mark_of, need, panel_of


def parameter_states(
    table: pd.DataFrame, column: str, label: str, *, caption: str = "", ax: Axes | None = None
) -> Figure:
    """Draw ``column`` of every parameter in order of the table, on a logarithmic axis.

    Zeros lie on the lower edge. Parameters without a number are left out.

    Args:
        table: ``parameter``, ``state`` and ``column``.
        column: what is drawn.
        label: of the vertical axis.
        caption: text below the panel.
        ax: panel to draw into, then without the caption; default: a new figure.

    Returns:
        A figure outside pyplot's state; neither the frame nor the global theme is altered.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> table = pd.DataFrame({"parameter": ["a", "b"], "state": ["fresh", "other"],
        ...                       "std": [0.02, 0.03]})
        >>> axes = parameter_states(table, "std", "std", caption="").axes[0]
        >>> [text.get_text() for text in axes.get_legend().get_texts()]
        ['fresh', 'other']
    """
    need(table, "parameter", "state", column)
    values = table[column].to_numpy(dtype=float, na_value=np.nan)
    above = values[np.isfinite(values) & (values > 0)]
    low, high = (above.min() / 2, above.max() * 2) if len(above) else (0.5, 2.0)
    places = np.arange(len(table))
    with mpl.rc_context(RC):
        panel = panel_of(ax, 7.0, 3.6)
        for state in table["state"].unique():
            chosen = (table["state"] == state).to_numpy() & ~np.isnan(values)
            drawn = np.clip(values[chosen], low, high)
            panel.plot(places[chosen], drawn, linestyle="none", label=state, **mark_of(state))
        panel.set_yscale("log")
        panel.set(ylim=(low, high), ylabel=label, xlabel="parameter, in order; none is named")
        panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        if ax is None:
            add_caption(figure_of(panel), caption)
    return figure_of(panel)
