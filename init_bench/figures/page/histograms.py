"""Prepare histograms of activations, a panel per layer."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.grid_axes import Axes
from init_bench.figures.page.numbers import rounded
from init_bench.figures.style import need


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
    networks = frame[list(axes)].drop_duplicates().assign(cells=1, final_loss=0.0)
    numbered = Axes(networks, axes)
    panels: list[dict[str, Any]] = []
    groups: Any = frame.groupby([*axes, "step"], sort=False)
    for values, part in groups:
        layers = [
            {
                "name": str(layer),
                "low": float(bins["centre"].iloc[0] - bins["width"].iloc[0] / 2),
                "width": float(bins["width"].iloc[0]),
                "share": rounded(bins["share"]),
                **{k: rounded([bins[k].iloc[0]])[0] for k in ("std", "sample_std") if k in bins},
            }
            for layer, bins in part.groupby("layer", sort=False)
        ]
        panels.append({"at": numbered.at(values[:-1]), "step": int(values[-1]), "layers": layers})
    steps = sorted({panel["step"] for panel in panels})
    data = {"axes": numbered.to_dict(), "panels": panels, "steps": steps}
    return Section(kind="histograms", title="Activation histograms", lead=lead, data=data)
