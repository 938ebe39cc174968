"""Prepare a model's scales, layers down and powers of two across, with the findings marked."""

import math
from typing import Any

import numpy as np
import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.numbers import rounded
from init_bench.figures.style import need

NUMBERS = ("std", "sample_std", "gradient", "dead", "saturated", "weight_gain")
"""Numbers of a layer that a reader sees on pointing at it, beside its RMS."""


def layers_section(
    profile: pd.DataFrame,
    verdicts: pd.DataFrame,
    histograms: pd.DataFrame,
    expected: pd.DataFrame | None = None,
    *,
    formats: dict[str, tuple[float, float]],
    svg: str = "",
) -> Section:
    """Return each layer's scale forward and backward, its values' histogram, and its findings.

    Args:
        profile: a row per step and layer call: ``step``, ``layer``, ``index``, ``module``,
            ``mean`` and ``NUMBERS``.
        verdicts: ``step``, ``layer``, ``verdict``, ``severity``, ``cause``, ``meaning``.
        histograms: ``step``, ``index``, ``centre``, ``share``.
        expected: a prediction for the first step: ``layer``, ``sample_std``, ``gradient`` as a
            multiple of that at the last layer.
        formats: of each number format, what rounds to 0 and what overflows.
        svg: picture for readers without JavaScript.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(profile, "step", "layer", "index", "module", "mean", *NUMBERS)
    need(verdicts, "step", "layer", "verdict", "severity", "cause", "meaning")
    first = int(profile["step"].min())
    steps = []
    for step, part in profile.groupby("step"):
        layers = part.sort_values("index", kind="stable", ignore_index=True)
        of_step = int(str(step))
        steps.append(
            {
                "step": of_step,
                **_layers(layers),
                "histogram": _strip(layers, histograms[histograms["step"] == step]),
                "findings": _findings(layers, verdicts[verdicts["step"] == step]),
                "theory": _theory(layers, expected) if of_step == first else None,
            }
        )
    centers = rounded(sorted(histograms["centre"].unique()))
    ends = {name: [math.log2(low), math.log2(high)] for name, (low, high) in formats.items()}
    return Section(
        kind="layers",
        title="Scale of every layer",
        lead="Layers from the first (top) to the last; each step to the right is twice as large. "
        "Vertical lines: where a number format ends; left of its first line a value becomes 0, "
        "right of its second it overflows.",
        data={"steps": steps, "centers": centers, "formats": ends},
        content={"svg": svg},
    )


def _layers(layers: pd.DataFrame) -> dict[str, Any]:
    """Return names, classes and numbers of the layers, a list each."""
    rms = np.hypot(layers["mean"], layers["std"])
    return {
        "layer": layers["layer"].astype(str).tolist(),
        "module": layers["module"].astype(str).tolist(),
        "rms": rounded(rms),
        **{name: rounded(layers[name]) for name in NUMBERS},
    }


def _strip(layers: pd.DataFrame, histograms: pd.DataFrame) -> list[list[float | None]]:
    """Return the share of values in each bin, a row per layer."""
    table = histograms.pivot(index="index", columns="centre", values="share")
    return [rounded(row) for row in table.reindex(layers["index"]).to_numpy()]


def _findings(layers: pd.DataFrame, verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the findings of single layers, each with its layer's place."""
    places = {name: place for place, name in reversed(list(enumerate(layers["layer"])))}
    return [
        {
            "place": places[row["layer"]],
            "verdict": row["verdict"],
            "severity": row["severity"],
            "origin": not row["cause"],
            "meaning": row["meaning"],
            "backward": str(row["verdict"]).endswith("gradient"),
        }
        for row in verdicts.to_dict("records")
        if row["layer"] in places
    ]


def _theory(layers: pd.DataFrame, expected: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the predicted signal and gradient of each layer, None where theory has none."""
    if expected is None:
        return None
    known = expected.drop_duplicates("layer").set_index("layer")
    gradients = layers.drop_duplicates("layer").set_index("layer")["gradient"]
    last = float(gradients.get(expected["layer"].iloc[-1], math.nan))
    return {
        "sample_std": rounded(layers["layer"].map(known["sample_std"])),
        "gradient": rounded(layers["layer"].map(known["gradient"]) * last),
    }
