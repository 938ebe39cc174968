"""Fit how a layer's change depends on width or depth: a line of log against log by seed."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd

from init_bench.errors import InitBenchError
from init_bench.statistics.intervals import t_interval

TOLERANCE = 0.2
"""A slope within this of 0 counts as none: 16 times the width, at most 1.74 times the change."""


IN_BLOCK = "in a block"
"""Verdict of a layer that deeper networks repeat, over depth."""


UNDECIDED = "undecided"
"""Verdict of a layer whose interval crosses an end of the tolerance."""


DIVERGES = "diverges"
"""Verdict of a layer whose output is not finite at some size."""


VERDICTS = (
    DIVERGES,
    "blows up",
    "shrinks",
    UNDECIDED,
    "does not move",
    "width-independent",
    "depth-independent",
    IN_BLOCK,
)
"""From worst to best. Diverges: a change is not finite. Blows up, shrinks: the whole interval is
above or below the tolerance. Width-independent, depth-independent: it is within. Undecided: it
crosses an end, and more seeds, widths or depths would tell. Does not move: no change at some size
and seed. In a block: of a layer that deeper networks repeat no slope over depth is right or wrong,
as each of more blocks may move its share of the stream, 1/depth, and less came before an early
one; what the shares add up to is judged after the blocks."""


def slopes_of(rows: pd.DataFrame, over: str = "width") -> pd.DataFrame:
    """Return slope, interval and verdict of every layer, in order of execution.

    Args:
        rows: columns ``over``, ``seed``, ``step``, ``layer``, ``index`` and ``change``; and
            ``repeated``, if layers that repeat with depth are not judged.
        over: ``width`` or ``depth``, the column that the slope is over.
    """
    last = rows[rows["step"] == rows["step"].max()]
    networks = last.groupby([over, "seed"]).ngroups
    found = []
    for (index, layer), part in last.groupby(["index", "layer"]):
        if len(part) < networks:
            raise InitBenchError(
                f"layer {layer!r} does not run in the same place at every {over}: "
                f"the factory must return the same layers in the same order"
            )
        row = {"over": over, "layer": layer, "index": index, **_slope(part, over)}
        if "repeated" in part and part["repeated"].any() and np.isfinite(row["slope"]):
            row["verdict"] = IN_BLOCK
        found.append(row)
    return pd.DataFrame(found)


def _slope(part: pd.DataFrame, over: str) -> dict[str, Any]:
    """Fit one layer's change, for each seed a line through its sizes."""
    change = part.pivot(index="seed", columns=over, values="change")
    if not np.isfinite(change.to_numpy()).all():
        return _row(math.nan, math.nan, math.nan, DIVERGES)
    if (change.to_numpy() == 0).any():
        return _row(math.nan, math.nan, math.nan, "does not move")
    x = np.log(change.columns.to_numpy(float))
    slopes = np.log(change.to_numpy()) @ (x - x.mean()) / np.square(x - x.mean()).sum()
    slope, low, high = t_interval(slopes)
    return _row(slope, low, high, _verdict(low, high, over))


def _row(slope: float, low: float, high: float, verdict: str) -> dict[str, Any]:
    interval = {"ci_low": low, "ci_high": high}
    return {"slope": slope, **interval, "low": low, "high": high, "verdict": verdict}


def _verdict(low: float, high: float, over: str) -> str:
    if low > TOLERANCE:
        return "blows up"
    if high < -TOLERANCE:
        return "shrinks"
    return f"{over}-independent" if -TOLERANCE <= low and high <= TOLERANCE else UNDECIDED


def layers_at_every_depth(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the layers that every depth has: those near the input, and those near the output.

    Of the shallowest network the first half of the layers are matched from the front and the
    others from the back. A layer with several names goes by the first and the last of them. The
    column ``repeated`` says of which layers a deeper network has more.

    Raises:
        InitBenchError: layers in the same place have other names, block numbers aside.

    Example:
        >>> names = {1: ["in", "0.fc", "out"], 2: ["in", "0.fc", "1.fc", "out"]}
        >>> rows = [(d, n, i) for d, layers in names.items() for i, n in enumerate(layers, 1)]
        >>> found = layers_at_every_depth(pd.DataFrame(rows, columns=["depth", "layer", "index"]))
        >>> found[found["depth"] == 2]["layer"].tolist()
        ['in', '0.fc', 'out']
    """
    count = rows.groupby("depth")["index"].max()
    fewest = int(count.min())
    front = math.ceil(fewest / 2)
    from_back = rows["index"] - rows["depth"].map(count) + fewest
    place = rows["index"].where(rows["index"] <= front, from_back.where(from_back > front))
    kept = rows.assign(index=place).dropna(subset=["index"]).astype({"index": int})
    names = kept.sort_values("depth").groupby("index")["layer"].unique()
    for found in names:
        if len(set(map(_kind, found))) > 1:
            raise InitBenchError(
                f"{', '.join(map(repr, found))} run in the same place at different depths: the "
                f"factory must repeat the same block depth times"
            )
    labels = names.map(lambda found: found[0] if len(found) == 1 else f"{found[0]} … {found[-1]}")
    repeated = _repeated(rows, kept)
    return kept.assign(layer=kept["index"].map(labels), repeated=repeated)


def _repeated(rows: pd.DataFrame, kept: pd.DataFrame) -> pd.Series:
    """Say of which kept layers deeper networks have more; of none, where no other comes last."""
    kinds = rows["layer"].map(_kind)
    number = rows.groupby([kinds, "depth"])["index"].nunique().unstack(fill_value=0)
    grows = number.min(axis=1) < number.max(axis=1)
    found = kept["layer"].map(_kind).map(grows)
    comes_last = bool(found[kept["index"] == kept["index"].max()].any())
    return found & (not comes_last)


def _kind(layer: str) -> str:
    """Return a layer's name without the numbers of its blocks."""
    return re.sub(r"\d+", "#", layer)
