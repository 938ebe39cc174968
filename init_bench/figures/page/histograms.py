"""Prepare histograms of activations, a panel per layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.grid_axes import Axes
from init_bench.figures.page.numbers import rounded
from init_bench.figures.page.signal import MOST_STEPS
from init_bench.figures.style import need
from init_bench.statistics.histogram import REACH, divisor

UNIT = 1e-4
"""Share of the values that the numbers of a page count: whole ones take a third of the room."""


MOST_HISTOGRAMS = 20_000
"""Histograms of a page, of a combination, step and layer each; the best runs come first."""


VALUES = {"activation": "activations", "pre_activation": "pre-activations"}
"""Kinds of outputs, and how the page calls them."""


def histograms_section(histograms: pd.DataFrame, axes: Sequence[str], *, lead: str) -> Section:
    """Return histograms of each layer's values, to be chosen by ``axes``.

    Args:
        histograms: the axes, ``layer``, ``centre``, ``width``, ``share``, and ``step`` where there
            are several.
        axes: names of the columns that tell networks apart.
        lead: what was measured.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(histograms, *axes, "layer", "centre", "width", "share")
    frame = histograms if "step" in histograms else histograms.assign(step=0)
    rows = []
    for _, bins in frame.groupby([*axes, "step", "layer"], sort=False):
        half = bins["width"] / 2
        ends = {"low": bins["centre"].iloc[0] - half.iloc[0]}
        ends |= {"high": bins["centre"].iloc[-1] + half.iloc[-1]}
        rows.append({**bins.iloc[0], **ends, "shares": bins["share"].to_numpy()})
    table = pd.DataFrame(rows).assign(cells=1, final_loss=0.0)
    return Section(
        kind="histograms", title="Activation histograms", lead=lead, data=_data(table, axes)
    )


def training_histograms_section(
    histograms: pd.DataFrame, layers: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str]
) -> Section:
    """Return histograms of each layer's outputs over captured steps, of one seed.

    Args:
        histograms: the axes, ``seed``, ``step``, ``layer``, ``index``, ``kind``, ``rms`` and
            ``counts``, a row per output.
        layers: the same names, with ``std`` and ``sample_std`` in place of the counts.
        runs: a row per combination: the axes, ``cells``, ``final_loss``.
        axes: names of the axes.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(histograms, *axes, "seed", "step", "layer", "index", "kind", "rms", "counts")
    rows = _first_seeds(histograms, axes)
    rows = rows[rows["step"].isin(rows["step"].value_counts().nlargest(MOST_STEPS).index)]
    order = runs.sort_values("final_loss", na_position="last", ignore_index=True)
    ranked = order[[*axes, "cells", "final_loss"]].reset_index(names="rank")
    rows = ranked.merge(rows, on=list(axes))
    total = rows.groupby("rank").size().cumsum()
    kept = total[total <= max(MOST_HISTOGRAMS, total.iloc[0])].index
    same = [*axes, "seed", "step", "index", "kind"]
    spread = layers[[*same, "std", "sample_std"]].drop_duplicates(same)
    rows = rows[rows["rank"].isin(kept)].merge(spread, on=same, how="left")
    table = rows.sort_values(["rank", "step", "index"], kind="stable").assign(
        high=REACH * rows["rms"].map(divisor),
        low=-REACH * rows["rms"].map(divisor),
        shares=[counts / max(1, counts.sum()) for counts in rows["counts"]],
        values=rows["kind"].map(VALUES),
    )
    part = f" The {len(kept)} best combinations." if len(kept) < len(total) else ""
    return Section(
        kind="histograms",
        title="Histograms during training",
        lead="Share of each layer's values at a captured step; of each combination the first seed "
        f"alone.{part} The bins of a layer reach to {REACH:g} times its root mean square on either "
        "side; what lies beyond counts in the outermost. std: of all values; signal: sample_std, "
        "the part that depends on the input.",
        data=_data(table, [*axes, "values"]) | {"reach": REACH},
    )


def _first_seeds(rows: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the least seed of each combination."""
    return rows[rows["seed"] == rows.groupby(list(axes))["seed"].transform("min")]


def _data(table: pd.DataFrame, axes: Sequence[str]) -> dict[str, Any]:
    """Return what the script draws of a row per network, step and layer."""
    numbered = Axes(table.drop_duplicates(list(axes)), axes)
    panels: list[dict[str, Any]] = []
    groups: Any = table.groupby([*axes, "step"], sort=False)
    for values, part in groups:
        layers = [_layer(row) for row in part.to_dict("records")]
        panels.append({"at": numbered.at(values[:-1]), "step": int(values[-1]), "layers": layers})
    steps = sorted({panel["step"] for panel in panels})
    return {"axes": numbered.to_dict(), "panels": panels, "steps": steps, "unit": UNIT}


def _layer(row: dict[Any, Any]) -> dict[str, Any]:
    words = {name: rounded([row[name]])[0] for name in ("std", "sample_std") if name in row}
    width = (row["high"] - row["low"]) / len(row["shares"])
    low, width = rounded([row["low"], width])
    shares = np.rint(row["shares"] / UNIT).astype(int).tolist()
    return {"name": str(row["layer"]), "low": low, "width": width, "share": shares, **words}
