"""Draw a quantity over seeds as a line with a band."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes


def draw_over_seeds(
    ax: Axes, rows: pd.DataFrame, x: str, y: str, *, band: bool = True, **line: Any
) -> None:
    """Draw the mean of ``y`` at each ``x`` and, with ``band``, from its lowest to its highest seed.

    Args:
        ax: the panel.
        rows: a row per seed and ``x``; those without a number are left out.
        x, y: the columns to draw.
        band: whether to draw the range.
        line: options of the line, as ``Axes.plot`` takes them.
    """
    seeds = rows.dropna(subset=[x, y]).groupby(x)[y]
    mean = seeds.mean()
    style = {"markeredgewidth": 0.75, "markeredgecolor": "w", **line}
    ax.plot(mean.index, mean, **style)
    if band:
        ax.fill_between(mean.index, seeds.min(), seeds.max(), color=line["color"], alpha=0.2)
