"""Draw mean ranks over tasks and the difference below which they do not differ."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from init_bench.errors import InitBenchError
from init_bench.figures.style import Canvas, drawing, whole_of


def rank_diagram(
    mean_ranks: "pd.Series[float]",
    *,
    critical_difference: float,
    caption: str,
    figure: Canvas | None = None,
) -> Figure:
    """Draw a row per arm at its mean rank; bars join arms that the test does not set apart.

    Args:
        mean_ranks: by arm, lowest first.
        critical_difference: mean ranks farther apart than this differ; nan draws no bar.
        caption: text below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: there are no ranks.

    Example:
        >>> ranks = pd.Series({"a": 1.0, "b": 1.5, "c": 3.0})
        >>> figure = rank_diagram(ranks, critical_difference=1.0, caption="")
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['a', 'b', 'c']
    """
    if mean_ranks.empty:
        raise InitBenchError("there are no ranks to draw")
    if not math.isnan(critical_difference):
        caption += f" Gray: mean ranks at most {critical_difference:.2f} apart do not differ."
    with drawing(figure, 7.2, 1.6 + 0.3 * len(mean_ranks), caption) as canvas:
        ax = canvas.subplots()
        ranks, places = mean_ranks.to_numpy(), np.arange(len(mean_ranks))
        ax.plot(ranks, places, "o", color="#0072B2")
        for first, last in groups(ranks, critical_difference):
            x = (ranks[first] + ranks[last]) / 2
            ax.plot([x, x], [first, last], color="#7F7F7F", linewidth=2.5, alpha=0.7)
        ax.set_yticks(places, labels=[str(name) for name in mean_ranks.index])
        ax.set(ylim=(len(ranks) - 0.5, -0.5), xlabel="mean rank over tasks (1 is best)")
    return whole_of(canvas)


def groups(ranks: np.ndarray, critical_difference: float) -> list[tuple[int, int]]:
    """Return the widest runs of arms that are not set apart, as first and last place.

    Example:
        >>> groups(np.array([1.0, 1.5, 2.2, 4.0]), 1.0)
        [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = int(np.flatnonzero(ranks - rank <= critical_difference).max(initial=first))
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
