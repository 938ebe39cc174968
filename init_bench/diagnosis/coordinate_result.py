"""Hold how far training moves each layer's output at each width and depth, and judge it."""

import json
import math
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.width_slopes import (
    DIVERGES,
    IN_BLOCK,
    TOLERANCE,
    UNDECIDED,
    VERDICTS,
    layers_at_every_depth,
)
from init_bench.errors import lookup
from init_bench.figures import coordinate_curves
from init_bench.figures.export import files_of, page_of
from init_bench.files import json_records, write_files

MOST_LAYERS = 6
"""Most layers that the verdict names; all are in ``slopes``."""


_INSIDE = "; judged before and after the repeated blocks, whose layers may share their work"


@dataclass(frozen=True, kw_only=True)
class CoordCheck:
    """What ``coord_check`` measured.

    Attributes:
        changes: a row per width, depth, seed, step and layer: ``size``, the RMS of the layer's
            output, and ``change``, the RMS of its difference from step 0. Without ``depths`` there
            is no column ``depth``.
        slopes: a row per layer and what the slope is ``over``, width or depth: ``slope`` of log
            change at the last step against log width, or log depth, mean over seeds; ``ci_low`` and
            ``ci_high``, its 95 % interval (Student's t over the seeds' slopes; ``low`` and ``high``
            are their old names); ``verdict``.
    """

    changes: pd.DataFrame
    slopes: pd.DataFrame

    @property
    def rows(self) -> pd.DataFrame:
        """Return ``changes``: deprecated name."""
        warnings.warn("rows is now called changes", FutureWarning, stacklevel=2)
        return self.changes

    @property
    def worst(self) -> str:
        """The worst verdict of any layer, one of ``VERDICTS``."""
        return min(map(str, self.slopes["verdict"]), key=VERDICTS.index)

    @property
    def verdict(self) -> str:
        """The worst verdict in a sentence, with its layers and their slopes; over depth another."""
        return " ".join(self._said(over, rows) for over, rows in self._by_size().items())

    def _by_size(self) -> dict[str, pd.DataFrame]:
        """Return the slopes over width and over depth, those that were measured."""
        return {str(over): rows for over, rows in self.slopes.groupby("over", sort=False)}

    def _said(self, over: str, slopes: pd.DataFrame) -> str:
        worst = min(map(str, slopes["verdict"]), key=VERDICTS.index)
        found = slopes[slopes["verdict"] == worst]
        layers = ", ".join(map(_said_of, found.head(MOST_LAYERS).to_dict("records")))
        if len(found) > MOST_LAYERS:
            layers += f" and {len(found) - MOST_LAYERS} more layers"
        decides = f"; {self._what_decides(over)}" if worst == UNDECIDED else ""
        where = self._where_it_diverges(over) if worst == DIVERGES else ""
        return (
            f"{worst}{where}: {layers}{decides}. Slope, with its 95 % interval: of log change of "
            f"the layer's output against log {over}; within ±{TOLERANCE:g} counts as "
            f"{over}-independent"
            f"{_INSIDE if (slopes['verdict'] == IN_BLOCK).any() else ''}"
        ) + "." * (len(self._by_size()) > 1)

    def _where_it_diverges(self, over: str) -> str:
        """Return at which sizes outputs are not finite at the last step, and in how many seeds."""
        last = sweep_of(self.changes, over).query("step == step.max()")
        bad = last[~np.isfinite(last["change"])].groupby(over)["seed"].nunique()
        sizes = ", ".join(
            f"{size} ({seeds} of {last['seed'].nunique()} seeds)" for size, seeds in bad.items()
        )
        return f" at {over} {sizes}"

    def _what_decides(self, over: str) -> str:
        """Return what narrows the intervals: they shrink as 1/√seeds, and as the sizes spread."""
        seeds, sizes = self.changes["seed"].nunique(), sweep_of(self.changes, over)[over]
        return (
            f"more seeds than {seeds} decide it, or {over}s further apart than {sizes.min()} to "
            f"{sizes.max()}"
        )

    @property
    def summary(self) -> str:
        """The same as ``verdict``."""
        return self.verdict

    @property
    def table(self) -> pd.DataFrame:
        """``slopes`` as printed; with what they are over, if that is width and depth."""
        idle = [] if len(self._by_size()) > 1 else ["over"]
        return self.slopes.drop(columns=["index", "low", "high", *idle])

    def __str__(self) -> str:
        """Return the verdict in a sentence and the slopes as a table."""
        shown = self.table
        return f"{self.verdict}\n{shown.to_string(index=False, float_format='{:.3f}'.format)}"

    def figure(self, over: str | None = None) -> Figure:
        """Draw each layer's change against width, or depth, with its slope and verdict.

        Args:
            over: ``width`` or ``depth``. Default: width, where it was measured.

        Raises:
            InitBenchError: it was not measured over this.
        """
        slopes = self._by_size()
        over = next(iter(slopes)) if over is None else over
        part = lookup(slopes, over, kind="size")
        steps = int(self.changes["step"].max())
        worst = min(map(str, part["verdict"]), key=VERDICTS.index)
        return coordinate_curves(
            sweep_of(self.changes, over),
            part,
            over=over,
            tolerance=TOLERANCE,
            caption=f"Change of each layer's output after {steps} training steps: {worst}.",
        )

    def to_json(self) -> str:
        """Return verdict, slopes and changes as JSON."""
        tables = {
            name: json_records(frame)
            for name, frame in (("slopes", self.slopes), ("changes", self.changes))
        }
        return json.dumps({"verdict": self.worst, "summary": self.summary, **tables})

    def save(self, folder: str | Path, name: str = "coord_check") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        return write_files(Path(folder), files_of(self, name))

    def _repr_html_(self) -> str:
        """Return verdict, slopes and figure as HTML without JavaScript."""
        return page_of(self.summary, self.table, self.figure())


def _said_of(row: Mapping[Hashable, Any]) -> str:
    """Return a layer with its slope, where it has one."""
    interval = f"{row['slope']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    has_slope = f" has slope {interval}" if math.isfinite(row["slope"]) else ""
    return f'layer "{row["layer"]}"{has_slope}'


def sweep_of(changes: pd.DataFrame, over: str) -> pd.DataFrame:
    """Return the rows of networks that differ in width alone, or in depth alone.

    Of depths, layers are those that every depth has.

    Example:
        >>> changes = pd.DataFrame({"width": [8, 16, 8], "depth": [2, 2, 4]})
        >>> sweep_of(changes, "width")["width"].tolist()
        [8, 16]
    """
    if "depth" not in changes:
        return changes
    other = "depth" if over == "width" else "width"
    part = changes[changes[other] == changes[other].iloc[0]]
    return part if over == "width" else layers_at_every_depth(part)
