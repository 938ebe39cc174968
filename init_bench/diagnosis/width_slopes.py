"""Fit how a layer's change depends on width: a line of log against log for each seed."""

import math

import numpy as np
import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.statistics.intervals import t_interval

TOLERANCE = 0.2
"""A slope within this of 0 counts as none: 16 times the width, at most 1.74 times the change."""


VERDICTS = (
    "diverges",
    "blows up",
    "shrinks",
    "undecided",
    "does not move",
    "width-independent",
)
"""From worst to best. Diverges: a change is not finite. Blows up, shrinks: the whole interval is
above or below the tolerance. Width-independent: it is within. Undecided: it crosses an end, and
more seeds or widths would tell. Does not move: no change at some width and seed."""


def slopes_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return slope, interval and verdict of every layer, in order of execution."""
    last = rows[rows["step"] == rows["step"].max()]
    networks = last.groupby(["width", "seed"]).ngroups
    found = []
    for (index, layer), part in last.groupby(["index", "layer"]):
        if len(part) < networks:
            raise InitBenchError(
                f"layer {layer!r} does not run in the same place at every width: "
                f"the factory must return the same layers in the same order"
            )
        found.append({"layer": layer, "index": index, **_slope(part)})
    return pd.DataFrame(found)


def _slope(part: pd.DataFrame) -> dict[str, object]:
    """Fit one layer's change, for each seed a line through its widths."""
    change = part.pivot(index="seed", columns="width", values="change")
    if not np.isfinite(change.to_numpy()).all():
        return _row(math.nan, math.nan, math.nan, "diverges")
    if (change.to_numpy() == 0).any():
        return _row(math.nan, math.nan, math.nan, "does not move")
    x = np.log(change.columns.to_numpy(float))
    slopes = np.log(change.to_numpy()) @ (x - x.mean()) / np.square(x - x.mean()).sum()
    slope, low, high = t_interval(slopes)
    return _row(slope, low, high, _verdict(low, high))


def _row(slope: float, low: float, high: float, verdict: str) -> dict[str, object]:
    interval = {"ci_low": low, "ci_high": high}
    return {"slope": slope, **interval, "low": low, "high": high, "verdict": verdict}


def _verdict(low: float, high: float) -> str:
    if low > TOLERANCE:
        return "blows up"
    if high < -TOLERANCE:
        return "shrinks"
    return "width-independent" if -TOLERANCE <= low and high <= TOLERANCE else "undecided"
