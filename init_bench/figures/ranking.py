"""Draw the ranking of a recommendation: losses with their intervals."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.style import RC, add_caption, figure_of, need, panel_of


def ranked_losses(table: pd.DataFrame, *, caption: str = "", ax: Axes | None = None) -> Figure:
    """Draw a row per initializer: its mean loss and interval, the best on top.

    Filled markers: no difference from the best was measured. Hollow ones are worse. An initializer
    that diverged has no marker.

    Args:
        table: ``init``, ``loss``, ``ci_low``, ``ci_high``, ``differs``, in order.
        caption: text below the panel.
        ax: panel to draw into, then without the caption; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> table = pd.DataFrame({"init": ["a", "b"], "loss": [0.1, 0.4], "ci_low": [0.0, 0.3],
        ...                       "ci_high": [0.2, 0.5], "differs": [False, True]})
        >>> [text.get_text() for text in ranked_losses(table, caption="").axes[0].get_yticklabels()]
        ['a', 'b']
    """
    need(table, "init", "loss", "ci_low", "ci_high", "differs")
    with mpl.rc_context(RC):
        panel = panel_of(ax, 7.0, 1.4 + 0.32 * len(table))
        places = np.arange(len(table))
        for place, row in zip(places, table.to_dict("records"), strict=True):
            if not np.isfinite(row["loss"]):
                continue
            panel.plot([row["ci_low"], row["ci_high"]], [place, place], color="#0072B2")
            face = "none" if row["differs"] else "#0072B2"
            panel.plot(row["loss"], place, "o", mec="#0072B2", mfc=face)
        panel.set_yticks(places, labels=list(table["init"]))
        panel.set(ylim=(len(table) - 0.5, -0.5), xlabel="loss after the last step")
        note = "Filled: no measured difference from the best. Hollow: worse."
        if ax is None:
            add_caption(figure_of(panel), f"{caption} {note}")
    return figure_of(panel)
