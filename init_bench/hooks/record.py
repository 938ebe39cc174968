"""Capture the statistics of a model's layers while it runs."""

import html
import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
from torch import Tensor, nn

from init_bench.errors import InitBenchError, nearest
from init_bench.files import json_records, write_files
from init_bench.hooks.forward_hooks import track
from init_bench.hooks.layer_call import LayerCall, Row
from init_bench.hooks.model_call import check_is_module
from init_bench.hooks.model_view import ModelView
from init_bench.statistics.formulas import STATISTICS
from init_bench.statistics.histogram import CENTERS
from init_bench.statistics.number_formats import FORMAT_STATISTICS
from init_bench.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("layer", "index", "kind", *STATISTICS)
"""What a run stores of ``Record.table``."""


TABLE = (*COLUMNS, "call", *FORMAT_STATISTICS)
"""Columns of ``Record.table``."""


_NUMBERS = (*STATISTICS, *FORMAT_STATISTICS)


@dataclass
class Record:
    """Hold what ``capture`` recorded: statistics by layer and, with ``keep=True``, the outputs.

    Attributes:
        layer_calls: the layer calls in order of execution, each with the statistics of its
            output, weight and gradients.
        outputs: each layer's last output, where it was kept.
        never_ran: layers of the model that did not run inside the block; known when it ends.
        compiled: whether the model is compiled; the module underneath was captured.
    """

    layer_calls: list[LayerCall] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    never_ran: tuple[str, ...] = ()
    compiled: bool = False

    @property
    def calls(self) -> int:
        """Number of layer calls."""
        return len(self.layer_calls)

    @property
    def rows(self) -> list[Row]:
        """The rows of ``table()``."""
        return [row for call in self.layer_calls for row in call.rows()]

    @property
    def layers(self) -> pd.DataFrame:
        """The table that ``table()`` returns: its columns are those of ``diagnosis.layers``."""
        return self.table()

    @property
    def summary(self) -> str:
        """How many layer calls were captured, and which layers never ran."""
        names = {call.layer for call in self.layer_calls}
        text = f"{counted(self.calls, 'call')} of {counted(len(names), 'layer')}"
        return f"{text}; never ran: {', '.join(self.never_ran)}" if self.never_ran else text

    def to_json(self) -> str:
        """Return ``layers`` (the rows of the table) and ``never_ran`` as JSON."""
        layers = json_records(self.table())
        return json.dumps({"layers": layers, "never_ran": self.never_ran}, ensure_ascii=False)

    def figure(self) -> "Figure":
        """Draw the spread of each layer's output and, after a backward pass, of its gradient.

        Raises:
            InitBenchError: no layer ran.
        """
        from init_bench.figures import captured_layers  # here: a capture must not wait for it

        if not self.layer_calls:
            raise InitBenchError(
                "nothing was captured, so there is nothing to draw: run the model inside the block"
            )
        return captured_layers(self.table(), caption=f"{self.summary}.")

    def save(self, folder: str | Path, name: str = "record") -> list[Path]:
        """Write the table as CSV, figure, HTML and JSON into ``folder``; return the paths.

        Raises:
            InitBenchError: no layer ran, or ``folder`` cannot be made or written.
        """
        from init_bench.figures.export import files_of

        table = {f"{name}.csv": self.table().to_csv(index=False).encode()}
        return write_files(Path(folder), {**table, **files_of(self, name)})

    def __str__(self) -> str:
        """Return the summary."""
        return self.summary

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary)}</p>{self.table().to_html(index=False)}"

    def table(self) -> pd.DataFrame:
        """Return a tidy frame, a row per layer, call and tensor kind, in order of execution.

        Columns: ``layer`` (qualified module name), ``index`` (order of execution, from 1),
        ``kind`` (``pre_activation``: output of a module with weights; ``activation``: output of
        any other; ``gradient``: of the loss with respect to that output; ``weight``), ``call``
        (which run of that layer it was, from 1) and the statistics that
        ``init_bench.statistics.describe`` defines.
        """
        rows = self.rows
        if not rows:
            return pd.DataFrame(columns=list(TABLE))
        # One array for all statistics: pandas would look at the type of every value.
        values = np.array([[row[name] for name in _NUMBERS] for row in rows], dtype=float)
        numbers = dict(zip(_NUMBERS, values.T, strict=True))
        words = {name: [row[name] for row in rows] for name in TABLE if name not in numbers}
        columns = words | numbers
        return pd.DataFrame({name: columns[name] for name in TABLE})

    def scalars(self) -> dict[str, float]:
        """Return every finite statistic under a flat name, as experiment trackers take them.

        The name is ``<layer>/<kind>/<statistic>``; a later call of the same layer has its number
        after the layer, as in ``fc1#2``. The model itself is ``model``.

        Example:
            >>> import torch
            >>> model = nn.Sequential(nn.Tanh())
            >>> with capture(model) as record:
            ...     _ = model(torch.zeros(2, 3))
            >>> record.scalars()["0/activation/zero"]
            1.0
        """
        found = {}
        for row in self.rows:
            call = f"#{row['call']}" if row["call"] != 1 else ""
            head = f"{row['layer'] or 'model'}{call}/{row['kind']}"
            for name in _NUMBERS:
                value = row[name]
                if isinstance(value, int | float) and math.isfinite(value):
                    found[f"{head}/{name}"] = float(value)
        return found

    def histograms(self) -> pd.DataFrame:
        """Return the histogram of each output, a row per layer, call and bin.

        Columns: ``layer``, ``index``, ``centre`` (of the bin, as a multiple of the output's RMS)
        and ``share`` (of the values). Empty unless captured with ``histogram=True``.

        Example:
            >>> import torch
            >>> model = nn.Identity()
            >>> with capture(model, histogram=True) as record:
            ...     _ = model(torch.tensor([[0.0, 2.0]]))
            >>> bins = record.histograms()
            >>> bins.loc[bins["share"] > 0, ["centre", "share"]].round(1).to_numpy().tolist()
            [[0.0, 0.5], [1.4, 0.5]]
        """
        rows = [
            {"layer": call.layer, "index": call.index, "centre": center, "share": share}
            for call in self.layer_calls
            if call.histogram is not None
            for center, share in zip(CENTERS, call.histogram.shares, strict=True)
        ]
        return pd.DataFrame(rows, columns=["layer", "index", "centre", "share"])

    def __getitem__(self, layer: str) -> Tensor:
        """Return the last output of ``layer``, as ``capture(model, keep=True)`` kept it.

        Raises:
            InitBenchError: nothing was kept, or no layer of that name ran.
        """
        if layer in self.outputs:
            return self.outputs[layer]
        if not self.outputs:
            raise InitBenchError(f"no output of {layer!r} was kept: use capture(model, keep=True)")
        known = ", ".join(self.outputs)
        raise InitBenchError(
            f"no output of a layer {layer!r}{nearest(layer, self.outputs)} Known: {known}."
        )


class CaptureBlock(AbstractContextManager[Record]):
    """What ``with capture(model) as record:`` enters; it has no ``Record`` of its own to ask."""

    def __init__(self, block: AbstractContextManager[Record]) -> None:
        self._block = block

    def __enter__(self) -> Record:
        return self._block.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._block.__exit__(*error)

    if not TYPE_CHECKING:  # a type checker says by itself that there is no such name

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"capture(model) has no {name!r}: write 'with ib.capture(model) as record:', run "
                "the model in the block, and ask record"
            )


def capture(model: nn.Module, *, keep: bool = False, histogram: bool = False) -> CaptureBlock:
    """Record the statistics of every layer of ``model`` that runs inside the block.

    A layer is a module inside which no other ran: one without children, or one that does its
    children's work itself, like ``nn.MultiheadAttention``. A nonlinearity called as a function is a
    layer named after the module that calls it: ``layer1.0:relu`` (``:relu`` in the model's own
    ``forward``). Forward runs fill ``pre_activation``, ``activation`` and ``weight`` rows; a
    backward pass inside the block adds ``gradient`` rows. A derivative that the model or its loss
    takes on the way, inside a forward run or with ``create_graph=True``, adds none. Of an output of
    several tensors (tuple, mapping, dataclass) the first is described. Samples lie along the first
    dimension, except in modules with ``batch_first=False`` and what is inside them. A forward run
    that gradient checkpointing repeats does not count as another call.

    Nothing is kept but numbers. Outputs, gradients, buffers, random streams and mode of the model
    are what they would be without, bit for bit, with two exceptions: a compiled model runs as it
    was written, and ``nn.TransformerEncoder`` in ``eval()`` leaves its fused path, as it does under
    any hook (results differ by rounding; padded positions are computed, not set to zero). The
    hooks go when the block ends, whatever happens in it.

    Args:
        model: any module; of a ``DistributedDataParallel`` or compiled one the module underneath is
            captured, by the names its user gave.
        keep: keep each layer's output (detached, a copy) for ``record["layer"]``.
        histogram: count each layer's output into bins for ``record.histograms()``.

    Raises:
        InitBenchError: ``model`` is not a module.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        >>> with capture(model) as record:
        ...     loss = model(torch.ones(2, 3)).sum()
        ...     loss.backward()
        >>> record.table()["kind"].tolist()
        ['pre_activation', 'weight', 'gradient', 'activation', 'gradient']
    """
    return CaptureBlock(_capture(model, keep=keep, histogram=histogram))


@contextmanager
def _capture(model: nn.Module, *, keep: bool, histogram: bool) -> Iterator[Record]:
    check_is_module(model)
    view = ModelView(model)
    with track(view, keep=keep, histogram=histogram) as tracker:
        record = Record(tracker.calls, tracker.outputs, compiled=tracker.compiled)
        try:
            yield record
        finally:
            record.never_ran = tracker.never_ran()
