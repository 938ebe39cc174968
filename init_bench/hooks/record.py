"""A look inside one network: hooks that reduce each layer's output to numbers as it is made."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import cast

import pandas as pd
from torch import Tensor, nn

from init_bench.errors import InitBenchError, nearest
from init_bench.hooks.batch_axis import samples_second
from init_bench.hooks.isolation import run_uncompiled
from init_bench.hooks.module_names import own_modules
from init_bench.hooks.tracker import Arrive, Row, Watch
from init_bench.statistics.histogram import CENTRES
from init_bench.statistics.layer import STATISTICS

COLUMNS = ("layer", "index", "kind", *STATISTICS)
"""What a run stores of ``Record.table``, which has ``call`` besides."""


@dataclass
class Record:
    """What ``capture`` saw: statistics by layer and, with ``keep=True``, the outputs themselves.

    Attributes:
        rows: the rows of ``table()`` as they came.
        outputs: each layer's last output, where it was kept.
        calls: how many outputs were seen.
        never_ran: layers of the model that did not run inside the block; known when it ends.
        compiled: whether the model was compiled and looked at through the module underneath.
    """

    rows: list[Row] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    calls: int = 0
    never_ran: tuple[str, ...] = ()
    compiled: bool = False

    def table(self) -> pd.DataFrame:
        """Return a tidy frame, a row per layer, call and tensor kind, in order of execution.

        Columns: ``layer`` (qualified module name), ``index`` (order of execution, from 1),
        ``kind`` (``pre_activation``: output of a module with weights; ``activation``: output of
        any other; ``gradient``: of the loss with respect to that output; ``weight``), the
        statistics that ``init_bench.statistics.describe`` defines, and ``call`` (which run of that
        layer it was, from 1).
        """
        frame = pd.DataFrame(self.rows, columns=[*COLUMNS, "call"])
        return frame.sort_values("index", kind="stable", ignore_index=True)

    def histograms(self) -> pd.DataFrame:
        """Return how the values of each output are spread, a row per layer, call and bin.

        Columns: ``layer``, ``index``, ``centre`` (of the bin, as a multiple of the output's RMS)
        and ``share`` (of the values). Empty unless the capture was told ``histogram=True``.

        Example:
            >>> import torch
            >>> model = nn.Identity()
            >>> with capture(model, histogram=True) as record:
            ...     _ = model(torch.tensor([[0.0, 2.0]]))
            >>> found = record.histograms()
            >>> found.loc[found["share"] > 0, ["centre", "share"]].round(1).to_numpy().tolist()
            [[0.0, 0.5], [1.4, 0.5]]
        """
        rows = [
            {"layer": row["layer"], "index": row["index"], "centre": centre, "share": share}
            for row in self.rows
            if "shares" in row
            for centre, share in zip(CENTRES, cast(list[float], row["shares"]), strict=True)
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


@contextmanager
def capture(model: nn.Module, *, keep: bool = False, histogram: bool = False) -> Iterator[Record]:
    """Record the statistics of every layer of ``model`` that runs inside the block.

    A layer is a module inside which no other ran: one without children, or one that does its
    children's work itself, like ``nn.MultiheadAttention``. A nonlinearity called as a function is a
    layer named after the module that calls it: ``layer1.0:relu`` (``:relu`` in the model's own
    ``forward``). Forward runs fill ``pre_activation``, ``activation`` and ``weight`` rows; a
    backward pass inside the block adds ``gradient`` rows. Of an output of several tensors (tuple,
    mapping, dataclass) the first is looked at. Samples lie along the first dimension, except in
    modules that say ``batch_first=False`` and what is inside them. A run repeated by gradient
    checkpointing is no other call.

    Nothing is kept but numbers. Outputs, gradients, buffers, random streams and mode of the model
    are what they would be without, bit for bit, with two exceptions: a compiled model runs as it
    was written, and ``nn.TransformerEncoder`` in ``eval()`` leaves its fused path, as it does under
    any hook (results differ by rounding; padded positions are computed, not set to zero). The
    hooks go when the block ends, whatever happens in it.

    Args:
        model: any module; a ``DistributedDataParallel`` or compiled one is looked at through the
            module underneath, by the names its user gave.
        keep: keep each layer's output (detached, a copy) for ``record["layer"]``.
        histogram: count each layer's output into bins for ``record.histograms()``.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        >>> with capture(model) as record:
        ...     loss = model(torch.ones(2, 3)).sum()
        ...     loss.backward()
        >>> record.table()["kind"].tolist()
        ['pre_activation', 'weight', 'gradient', 'activation', 'gradient']
    """
    with watched(model, keep=keep, histogram=histogram) as record:
        yield record


@contextmanager
def watched(
    model: nn.Module, *, keep: bool = False, histogram: bool = False, arrive: Arrive | None = None
) -> Iterator[Record]:
    """Do as ``capture``, and tell ``arrive`` what reaches each nonlinearity called as a function:
    no hook sees that."""
    record = Record()
    with ExitStack() as hooks:
        record.compiled = hooks.enter_context(run_uncompiled(model))
        watch = Watch(record, hooks, keep=keep, shares=histogram, arrive=arrive)
        modules = own_modules(model)
        second = samples_second(modules)
        for path, module in modules.items():
            watch.hook(path, module, second=path in second)
        try:
            yield record
        finally:
            record.never_ran = watch.never_ran(modules)
