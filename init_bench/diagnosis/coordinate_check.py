"""Check coordinates: do a few training steps change outputs equally at every width?"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor, nn

from init_bench.diagnosis.evidence.collection import Loss, collect_evidence
from init_bench.diagnosis.input_checks import check_finite
from init_bench.diagnosis.training_steps import Optimizer, optimizer_of
from init_bench.diagnosis.width_slopes import TOLERANCE, VERDICTS, slopes_of
from init_bench.errors import InitBenchError, as_ints, check_int, misfit
from init_bench.figures import coordinate_curves
from init_bench.figures.export import files_of, page_of
from init_bench.files import json_records, write_files
from init_bench.hooks.model_call import shapes
from init_bench.hooks.record import capture
from init_bench.models import check_module
from init_bench.randomness import drawing_from, stream
from init_bench.statistics.layer import rms
from init_bench.training.seeds import seeds_from

SUCH_AS = "such as lambda width: nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))"
"""What to give as ``factory``, for a message."""


MOST_LAYERS = 6
"""Most layers that the verdict names; all are in ``slopes``."""


@dataclass(frozen=True, kw_only=True)
class CoordCheck:
    """What ``coord_check`` measured.

    Attributes:
        changes: a row per width, seed, step and layer: ``size``, the RMS of the layer's output, and
            ``change``, the RMS of its difference from step 0.
        slopes: a row per layer: ``slope`` of log change at the last step against log width, mean
            over seeds; ``ci_low`` and ``ci_high``, its 95 % interval (Student's t over the seeds'
            slopes; ``low`` and ``high`` are their old names); ``verdict``.
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
        """The worst verdict in a sentence, with its layers and their slopes."""
        found = self.slopes[self.slopes["verdict"] == self.worst]
        layers = ", ".join(
            f'layer "{row["layer"]}" has slope {row["slope"]:.2f} '
            f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
            for row in found.head(MOST_LAYERS).to_dict("records")
        )
        if len(found) > MOST_LAYERS:
            layers += f" and {len(found) - MOST_LAYERS} more layers"
        return (
            f"{self.worst}: {layers}. Slope, with its 95 % interval: of log change of the layer's "
            f"output against log width; within ±{TOLERANCE:g} counts as width-independent"
        )

    @property
    def summary(self) -> str:
        """The same as ``verdict``."""
        return self.verdict

    @property
    def table(self) -> pd.DataFrame:
        """``slopes`` as printed."""
        return self.slopes.drop(columns=["index", "low", "high"])

    def __str__(self) -> str:
        """Return the verdict in a sentence and the slopes as a table."""
        shown = self.table
        return f"{self.verdict}\n{shown.to_string(index=False, float_format='{:.3f}'.format)}"

    def figure(self) -> Figure:
        """Draw each layer's change against width, with its slope and verdict."""
        steps = int(self.changes["step"].max())
        return coordinate_curves(
            self.changes,
            self.slopes,
            tolerance=TOLERANCE,
            caption=f"Change of each layer's output after {steps} training steps: {self.worst}.",
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


def coord_check(
    factory: Callable[[int], nn.Module],
    widths: Sequence[int],
    batch: tuple[Tensor, Any],
    *,
    loss_fn: Loss,
    optimizer: Optimizer,
    steps: int = 3,
    seeds: int | Iterable[int] = 5,
) -> CoordCheck:
    """Train ``factory(width)`` for a few steps at every width; compare how far outputs move.

    In a parametrization that transfers hyperparameters from narrow to wide networks (μP), the
    change of every layer's outputs does not depend on width.

    Formula:
        change = √mean((z_t - z_0)²) over samples and units of a layer's output z on ``batch``,
        after t = ``steps`` updates on that batch; slope = d log change / d log width, by least
        squares over the widths, for each seed.

    Args:
        factory: builds the network of a width, weights included; what it draws without a
            generator comes from a stream of (seed, width).
        widths: two or more.
        batch: inputs, on the device to use, and targets.
        loss_fn: ``loss_fn(model(inputs), targets)``.
        optimizer: builds the optimizer of a model; learning rates may depend on its widths.
        steps: updates.
        seeds: two or more, as a count or an iterable; the interval is over them.

    Returns:
        ``CoordCheck``: ``.changes``, ``.slopes``, ``.verdict``, ``.figure()``.

    Raises:
        InitBenchError: fewer than two widths or seeds, no steps, no batch of finite inputs and
            targets, no module from the factory or one that does not run on them, the same shapes
            at all widths, no optimizer of that module's parameters, layers that differ from width
            to width, or weights that are the same for all seeds.

    Source:
        Yang et al., Tensor Programs V, 2022, and the coordinate check of its package mup.

    Example:
        >>> import torch
        >>> inputs, targets = torch.ones(4, 8), torch.ones(4, 1)
        >>> def perceptron(width):
        ...     return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))
        >>> check = coord_check(
        ...     perceptron, [16, 64, 256], (inputs, targets), loss_fn=nn.functional.mse_loss,
        ...     optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e-3))
        >>> check.slopes["layer"].tolist(), check.slopes["verdict"].iloc[-1]
        (['0', '1', '2'], 'blows up')
    """
    widths = _checked_widths(widths)
    seeds = seeds_from(seeds, minimum=2)
    steps = check_int(steps, "steps", minimum=1)
    _check_batch(batch)
    _check_networks(factory, widths, seeds[0], batch, loss_fn)
    rows = [
        {"width": width, "seed": seed, **row}
        for width in widths
        for seed in seeds
        for row in _trained(factory, width, seed, batch, loss_fn, optimizer, steps)
    ]
    frame = pd.DataFrame(rows)
    _check_that_seeds_differ(frame)
    return CoordCheck(changes=frame, slopes=slopes_of(frame))


def _checked_widths(widths: Sequence[int]) -> list[int]:
    found = as_ints(list(widths) if isinstance(widths, Iterable) else widths) or []
    if len(found) < 2 or len(set(found)) < len(found) or min(found) < 1:
        raise InitBenchError(
            "widths must be two or more different integers from 1, such as (64, 256, 1024), "
            f"got {widths!r}"
        )
    return found


def _check_batch(batch: tuple[Tensor, Any]) -> None:
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    if not pair or not isinstance(batch[0], Tensor):
        raise InitBenchError(
            f"batch must be a pair (inputs, targets), the inputs a tensor, got {shapes(batch)}"
        )
    check_finite(batch[0], "inputs", "no change of a layer can be measured; clean the inputs")


def _check_networks(
    factory: Callable[[int], nn.Module],
    widths: Sequence[int],
    seed: int,
    batch: tuple[Tensor, Any],
    loss_fn: Loss,
) -> None:
    """Run a network of each width once, before any is trained."""
    inputs, targets = batch
    found = set()
    for width in widths:
        model = _built(factory, width, seed).to(inputs.device)
        collect_evidence(model, inputs, targets, loss_fn)
        found.add(tuple(parameter.shape for parameter in model.parameters()))
    if len(found) == 1:
        raise InitBenchError(
            f"factory returns networks of the same shapes at all widths {widths}: it must build "
            f"its layers by the width that it is called with, {SUCH_AS}"
        )


def _built(factory: Callable[[int], nn.Module], width: int, seed: int) -> nn.Module:
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = type(factory).__name__
        raise InitBenchError(
            f"factory must be a function that builds a network of a width, got a {kind}; {SUCH_AS}"
        )
    if why := misfit(factory, width):
        raise InitBenchError(
            f"factory={factory!r} cannot be called with a width: {why}; it must be a function of "
            f"the width, {SUCH_AS}"
        )
    try:
        with drawing_from(stream(seed, f"width {width}")):
            model = factory(width)
    except Exception as cause:
        cause.add_note(f"raised inside factory({width}), which coord_check called")
        raise
    return check_module(model, f"factory({width})")


def _check_that_seeds_differ(rows: pd.DataFrame) -> None:
    """Refuse networks that are all the same: their interval would have no width."""
    start = rows[rows["step"] == 0].groupby(["width", "index"])["size"]
    if (start.nunique() <= 1).all():
        raise InitBenchError(
            "the networks of all seeds are the same: the factory must draw its weights without a "
            "seed or generator of its own, as init.he_normal_(layer.weight) does"
        )


def _trained(
    factory: Callable[[int], nn.Module],
    width: int,
    seed: int,
    batch: tuple[Tensor, Any],
    loss_fn: Loss,
    optimizer: Optimizer,
    steps: int,
) -> Iterator[dict[str, object]]:
    """Yield a row for every layer at every step, before the first update and after each."""
    inputs, targets = batch
    model = _built(factory, width, seed)
    update = optimizer_of(model.to(inputs.device), optimizer)
    start: dict[str, Tensor] = {}
    for step in range(steps + 1):
        with _noise(inputs, seed), capture(model, keep=True) as record:
            loss = loss_fn(model(inputs), targets)
        start = start or dict(record.outputs)
        for index, (layer, output) in enumerate(record.outputs.items(), start=1):
            size, change = rms(output), rms(output - start[layer])
            yield {"step": step, "layer": layer, "index": index, "size": size, "change": change}
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()


def _noise(inputs: Tensor, seed: int) -> Any:
    """Return a context in which dropout draws the same at every step, on the CPU."""
    on_cpu = inputs.device.type == "cpu"
    return drawing_from(stream(seed, "noise")) if on_cpu else nullcontext()
