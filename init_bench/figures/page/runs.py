"""Prepare the loss curves and the heat map of training runs for a page."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from init_bench.figures.export import svg_of
from init_bench.figures.page.document import Section
from init_bench.figures.page.grid_axes import Axes
from init_bench.figures.page.numbers import rounded
from init_bench.figures.style import need

POINTS, FEWEST = 120_000, 100
"""Points of all curves of a page together, and of one curve at least, before curves are thinned."""


LINES_WITHOUT_SCRIPT = 8
"""Lines of the picture for readers without JavaScript."""


def drawn_steps(steps: int, curves: int) -> list[int]:
    """Return the steps at which so many curves of so many steps are drawn, the last one among them.

    Example:
        >>> len(drawn_steps(2000, 17)), drawn_steps(2000, 10_000)[:3]
        (2000, [0, 20, 40])
    """
    stride = math.ceil(steps / max(FEWEST, POINTS // max(1, curves)))
    return sorted({*range(0, steps, stride), steps - 1})


def curves_section(
    curves: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str], *, classes: int | None = None
) -> Section:
    """Return loss curves, a line per combination: mean over seeds, band of ±1 sd.

    Args:
        curves: a row per combination and step: the axes, ``step``, ``loss``, ``loss_sd``,
            ``cells`` (number of runs behind the mean).
        runs: a row per combination: the axes, ``cells``, ``diverged``, ``final_loss``.
        axes: names of the axes; the first has a color for each value.
        classes: of the data set, where the loss is a cross-entropy: their log is drawn.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(curves, *axes, "step", "loss", "loss_sd", "cells")
    need(runs, *axes, "cells", "diverged", "final_loss")
    numbered = Axes(runs, axes)
    diverged = runs.set_index(list(axes))["diverged"].to_dict()
    lines = []
    for values, part in curves.groupby(list(axes), sort=False):
        row = values if isinstance(values, tuple) else (values,)
        key = row if len(axes) > 1 else row[0]
        lines.append(_line(numbered, row, part, int(diverged.get(key, 0))))
    steps = sorted(curves["step"].unique().tolist())
    return Section(
        kind="curves",
        title="Loss curves",
        lead=f"Loss of each minibatch before its update: mean over seeds, band of ±1 standard "
        f"deviation. {_thinned(steps)}A line ends in ✕ where the first of its runs diverged.",
        data={
            "axes": numbered.to_dict(),
            "lines": lines,
            "steps": steps,
            "chance": math.log(classes) if classes else None,
        },
        content={"svg": _picture(curves, runs, axes, classes)},
    )


def _line(axes: Axes, row: Sequence[Any], part: pd.DataFrame, diverged: int) -> dict[str, Any]:
    """Return one curve up to the step at which the first of its runs diverged."""
    part = part.sort_values("step")
    whole = (part["cells"] == part["cells"].max()) & part["loss"].map(math.isfinite)
    length = len(part) if whole.all() else int(whole.to_numpy().argmin())
    part = part.iloc[:length]
    return {
        "at": axes.at(row),
        "label": axes.label(row),
        "loss": rounded(part["loss"]),
        "sd": rounded(part["loss_sd"].fillna(0)),
        "cells": int(part["cells"].max()) if length else 0,
        "diverged": diverged,
    }


def _thinned(steps: Sequence[int]) -> str:
    """Say that curves are thinned, where they are."""
    stride = steps[1] - steps[0] if len(steps) > 1 else 1
    return f"Thinned: every {stride}th step is drawn. " if stride > 1 else ""


def _picture(
    curves: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str], classes: int | None
) -> str:
    """Return the best few curves as SVG, for readers without JavaScript."""
    from init_bench.figures.curves import loss_curves

    best = runs.sort_values("final_loss").head(LINES_WITHOUT_SCRIPT)[list(axes)]
    labels = best.astype(str).agg(", ".join, axis=1)
    steps = sorted(curves["step"].unique())
    few = curves[curves["step"].isin(steps[:: max(1, len(steps) // 200)])]
    chosen = best.assign(label=labels).merge(few, on=list(axes)).assign(seed=0)
    caption = f"The {len(best)} with the lowest loss." if len(runs) > len(best) else ""
    drawn = chosen[["label", "seed", "step", "loss"]].rename(columns={"label": "init"})
    return svg_of(loss_curves(drawn, caption=caption, classes=classes))


METRICS = {"final_loss": "final loss", "test_accuracy": "test accuracy"}
"""Columns that the heat map of a run shows, and their names."""


def heat_map_section(
    runs: pd.DataFrame,
    axes: Sequence[str],
    *,
    metrics: Mapping[str, str] = METRICS,
    logarithmic: Collection[str] = (),
    lead: str = "",
) -> Section:
    """Return a heat map of final loss or accuracy over two axes; what diverged is marked.

    Args:
        runs: a row per combination: the axes, ``cells``, ``diverged``, ``final_loss`` and the
            ``metrics``.
        axes: two names or more; the first is down, the second across.
        metrics: columns to choose from, and their names.
        logarithmic: those whose colors follow the logarithm.
        lead: what is shown, in place of what is said of runs.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(runs, *axes, "cells", "diverged", "final_loss", *metrics)
    numbered = Axes(runs, axes)
    rows = [
        {
            "at": numbered.at([row[name] for name in axes]),
            **{name: rounded([row[name]])[0] for name in metrics},
            "cells": int(row["cells"]),
            "diverged": int(row["diverged"]),
        }
        for row in runs.to_dict("records")
    ]
    return Section(
        kind="heat_map",
        title="Heat map",
        lead=lead
        or "Mean over seeds. ✕: all runs diverged; ✕ with a number: so many of them did and are "
        "left out of the mean. Empty: not in the grid, or not done yet.",
        data={
            "axes": numbered.to_dict(),
            "rows": rows,
            "metrics": [[name, words, name in logarithmic] for name, words in metrics.items()],
        },
    )
