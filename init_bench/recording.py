"""A look inside one network: forward hooks that reduce each layer's output to numbers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.activations import bounds_of
from init_bench.errors import InitBenchError, nearest
from init_bench.statistics import STATISTICS, describe, describe_weight

COLUMNS = ("layer", "index", "kind", *STATISTICS)


@dataclass
class Record:
    """What ``capture`` saw: statistics by layer and, with ``keep=True``, the outputs themselves."""

    rows: list[dict[str, object]] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    calls: int = 0

    def table(self) -> pd.DataFrame:
        """Return a tidy frame, a row per layer and tensor kind, in order of execution.

        Columns: ``layer`` (qualified module name), ``index`` (order of execution, from 1),
        ``kind`` (``pre_activation``: output of a module with weights; ``activation``: output of
        any other; ``gradient``: of the loss with respect to that output; ``weight``) and the
        statistics that ``init_bench.statistics.describe`` defines.
        """
        frame = pd.DataFrame(self.rows, columns=list(COLUMNS))
        return frame.sort_values("index", kind="stable", ignore_index=True)

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
def capture(model: nn.Module, *, keep: bool = False) -> Iterator[Record]:
    """Record the statistics of every layer of ``model`` that runs inside the block.

    A layer is a module without children. Forward runs fill ``pre_activation``,
    ``activation`` and ``weight`` rows; a backward pass inside the block adds ``gradient`` rows.
    Outputs and gradients of the model are what they would be without; the hooks go when the
    block ends, whatever happens in it.

    Args:
        model: any module.
        keep: keep each layer's output (detached, a copy) for ``record["layer"]``.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        >>> with capture(model) as record:
        ...     loss = model(torch.ones(2, 3)).sum()
        ...     loss.backward()
        >>> record.table()["kind"].tolist()
        ['pre_activation', 'weight', 'gradient', 'activation', 'gradient']
    """
    record = Record()
    layers = {path: module for path, module in model.named_modules() if not any(module.children())}
    with ExitStack() as hooks:
        for path, module in layers.items():
            hook = _forward_hook(record, path, keep, hooks)
            hooks.callback(module.register_forward_hook(hook).remove)
        yield record


def _forward_hook(record: Record, path: str, keep: bool, hooks: ExitStack) -> Any:
    """Return a hook that notes one layer's output now and its gradient when that comes."""

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point() or output.dim() == 0:
            return
        record.calls += 1
        where = {"layer": path, "index": record.calls}
        weight = getattr(module, "weight", None)
        weighs = isinstance(weight, Tensor)
        if keep:
            record.outputs[path] = output.detach().clone()
        kind = "pre_activation" if weighs else "activation"
        record.rows.append({**where, "kind": kind, **describe(output, bounds_of(module))})
        if isinstance(weight, Tensor) and weight.dim() > 1:
            record.rows.append({**where, "kind": "weight", **describe_weight(weight)})
        if output.requires_grad:
            handle = output.register_hook(_gradient_hook(record, where))  # type: ignore[no-untyped-call]
            hooks.callback(handle.remove)

    return torch.no_grad()(note)


def _gradient_hook(record: Record, where: dict[str, object]) -> Any:
    def note(gradient: Tensor) -> None:
        record.rows.append({**where, "kind": "gradient", **describe(gradient)})

    return note
