"""Prepare histograms of activations, a panel per layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.grid_axes import Axes, neighbors
from init_bench.figures.page.numbers import rounded
from init_bench.figures.page.signal import MOST_STEPS, thinned
from init_bench.figures.style import need
from init_bench.statistics.histogram import REACH, divisor

UNIT = 1e-4
"""Share of the values that the numbers of a page count: whole ones take a third of the room."""


MOST_HISTOGRAMS = 10_000
"""Histograms of a page, of a combination, step and layer each; the best runs come first."""


VALUES = {"activation": "activations", "pre_activation": "pre-activations"}
"""Kinds of outputs, and how the page calls them."""


def histograms_section(histograms: pd.DataFrame, axes: Sequence[str], *, lead: str) -> Section:
    """Return histograms of each layer's values, to be chosen by ``axes``.

    Args:
        histograms: the axes, ``layer``, ``centre``, ``width``, ``share``, and ``step`` where there
            are several; the bins of a layer follow each other.
        axes: names of the columns that tell networks apart.
        lead: what was measured.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(histograms, *axes, "layer", "centre", "width", "share")
    frame = histograms if "step" in histograms else histograms.assign(step=0)
    parts = [part for _, part in neighbors(frame, [*axes, "step", "layer"])]
    first = frame.iloc[[part.start for part in parts]]
    last = frame.iloc[[part.stop - 1 for part in parts]]
    high, shares = last["centre"] + last["width"] / 2, frame["share"].to_numpy()
    table = first.assign(
        low=first["centre"] - first["width"] / 2,
        high=high.to_numpy(),
        shares=pd.Series([shares[part] for part in parts], first.index, dtype=object),
        cells=1,
        final_loss=0.0,
    )
    table = table.sort_values([*axes, "step"], kind="stable")
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
    rows = rows.sort_values(["rank", "kind", "step", "index"], ignore_index=True)
    counts = np.stack(rows["counts"].to_list())
    reach = REACH * rows["rms"].map(divisor)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    table = rows.assign(
        high=reach,
        low=-reach,
        shares=pd.Series([*shares], dtype=object),
        values=rows["kind"].map(VALUES),
    )
    return Section(
        kind="histograms",
        title="Histograms during training",
        lead="Share of a layer's values per bin at the chosen step, first seed only. "
        f"{thinned(len(kept), len(total))}Bins reach from -{REACH:g} to {REACH:g} times the "
        "layer's root mean square; values beyond are counted in the end bins. std: of all values; "
        "sample_std: the part that depends on the input.",
        data=_data(table, [*axes, "values"]) | {"reach": REACH},
    )


def _first_seeds(rows: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the least seed of each combination."""
    return rows[rows["seed"] == rows.groupby(list(axes))["seed"].transform("min")]


def _data(table: pd.DataFrame, axes: Sequence[str]) -> dict[str, Any]:
    """Return what the script draws of a row per network, step and layer, neighbors by network."""
    numbered = Axes(table.drop_duplicates(list(axes)), axes)
    layers = _layers(table)
    panels = [
        {"at": numbered.at(values[:-1]), "step": int(values[-1]), "layers": layers[part]}
        for values, part in neighbors(table, [*axes, "step"])
    ]
    steps = sorted(table["step"].unique().tolist())
    return {"axes": numbered.to_dict(), "panels": panels, "steps": steps, "unit": UNIT}


def _layers(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what the script draws of each row."""
    widths = (table["high"] - table["low"]) / table["shares"].map(len)
    columns = {
        "name": table["layer"].astype(str).tolist(),
        "low": rounded(table["low"]),
        "width": rounded(widths),
        "share": [np.rint(each / UNIT).astype(int).tolist() for each in table["shares"]],
        **{name: rounded(table[name]) for name in ("std", "sample_std") if name in table},
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
