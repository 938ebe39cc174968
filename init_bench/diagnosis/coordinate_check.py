"""Check coordinates: do a few steps change outputs equally at every width and depth?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
from torch import Tensor, nn

from init_bench.diagnosis.coordinate_result import CoordCheck, sweep_of
from init_bench.diagnosis.coordinate_runs import Size, Trainer
from init_bench.diagnosis.input_checks import check_dense, check_finite
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.training_steps import Optimizer
from init_bench.diagnosis.width_slopes import slopes_of
from init_bench.errors import InitBenchError, as_ints, check_int
from init_bench.hooks.model_call import shapes
from init_bench.init import InitSpec
from init_bench.training.seeds_argument import FEWEST_OF_INTERVAL, seeds_from


def coord_check(
    factory: Callable[..., nn.Module],
    widths: Sequence[int],
    batch: tuple[Tensor, Any],
    *,
    loss_fn: Loss,
    optimizer: Optimizer,
    steps: int = 3,
    seeds: int | Iterable[int] = 5,
    depths: Sequence[int] | None = None,
    init: str | InitSpec | None = None,
) -> CoordCheck:
    """Train networks of several widths and depths a few steps; compare how far outputs move.

    In a parametrization that transfers hyperparameters from narrow to wide networks (μP), the
    change of every layer's outputs does not depend on width; in one that transfers them from
    shallow to deep ones (CompleteP), nor on depth.

    Widths are compared at the first depth, depths at the first width. A deeper network has more
    layers: those that every depth has are compared, from the front and from the back. Those of the
    repeated blocks have slopes, but no verdict over depth: each of L blocks may move 1/L of what
    all move together, which is judged in the layers after them.

    Formula:
        change = √mean((z_t - z_0)²) over samples and units of a layer's output z on ``batch``,
        after t = ``steps`` updates on that batch; slope = d log change / d log width, or d log
        depth, by least squares over the widths or depths, for each seed.

    Args:
        factory: builds the network of a width, weights included; what it draws without a
            generator comes from a stream of (seed, width). With ``depths`` it is called with a
            width and a depth.
        widths: two or more; with ``depths`` one is enough.
        batch: inputs, on the device to use, and targets.
        loss_fn: ``loss_fn(model(inputs), targets)``.
        optimizer: builds the optimizer of a model; learning rates may depend on its widths.
        steps: updates.
        seeds: two or more, as a count or an iterable; the interval is over them.
        depths: two or more, if any: numbers of blocks, or whatever the factory makes of them.
        init: an initializer that fills each network; where it gives parameters rates of their own
            (``mup``), the optimizer, built without them, takes them over.

    Returns:
        ``CoordCheck``: ``.changes``, ``.slopes``, ``.verdict``, ``.figure()``.

    Raises:
        InitBenchError: fewer than two widths, depths or seeds, no steps, no batch of finite inputs
            and targets, no module from the factory or one that does not run on them, the same
            shapes at all sizes, no optimizer of that module's parameters, layers that differ from
            width to width, weights that are the same for all seeds, or as ``initialize``.

    Source:
        Yang et al., Tensor Programs V, 2022, and the coordinate check of its package mup; over
        depth: Dey et al., 2025.

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
    sizes, swept = _sizes(widths, depths)
    seeds = seeds_from(seeds, minimum=FEWEST_OF_INTERVAL)
    steps = check_int(steps, "steps", minimum=1)
    _check_batch(batch)
    trainer = Trainer(factory=factory, batch=batch, loss_fn=loss_fn, optimizer=optimizer, init=init)
    trainer.check(sizes, seeds[0])
    rows = [
        {**dict(zip(("width", "depth"), size, strict=False)), "seed": seed, **row}
        for size in sizes
        for seed in seeds
        for row in trainer.rows(size, seed, steps)
    ]
    frame = pd.DataFrame(rows)
    _check_that_seeds_differ(frame)
    slopes = [slopes_of(sweep_of(frame, over), over) for over in swept]
    return CoordCheck(changes=frame, slopes=pd.concat(slopes, ignore_index=True))


def _sizes(
    widths: Sequence[int], depths: Sequence[int] | None
) -> tuple[list[Size], tuple[str, ...]]:
    """Return what the factory is called with, and what slopes are over."""
    if depths is None:
        return [(width,) for width in _checked(widths, "widths", 2)], ("width",)
    wide, deep = _checked(widths, "widths", 1), _checked(depths, "depths", 2)
    sizes: list[Size] = [(width, deep[0]) for width in wide]
    sizes += [(wide[0], depth) for depth in deep[1:]]
    return sizes, ("width", "depth") if len(wide) > 1 else ("depth",)


def _checked(sizes: Sequence[int], name: str, fewest: int) -> list[int]:
    found = as_ints(list(sizes) if isinstance(sizes, Iterable) else sizes) or []
    if len(found) < fewest or len(set(found)) < len(found) or min(found) < 1:
        count = "two or more different" if fewest == 2 else "different"
        such_as = "(64, 256, 1024)" if name == "widths" else "(2, 8, 32)"
        raise InitBenchError(
            f"{name} must be {count} integers from 1, such as {such_as}, got {sizes!r}"
        )
    return found


def _check_batch(batch: tuple[Tensor, Any]) -> None:
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    if not pair or not isinstance(batch[0], Tensor):
        raise InitBenchError(
            f"batch must be a pair (inputs, targets), the inputs a tensor, got {shapes(batch)}"
        )
    check_dense(batch[0])
    check_finite(batch[0], "inputs", "no change of a layer can be measured; clean the inputs")


def _check_that_seeds_differ(rows: pd.DataFrame) -> None:
    """Refuse networks that are all the same: their interval would have no width."""
    size = ["width", "depth"] if "depth" in rows else ["width"]
    start = rows[rows["step"] == 0].groupby([*size, "index"])["size"]
    if (start.nunique() <= 1).all():
        raise InitBenchError(
            "the networks of all seeds are the same: the factory must draw its weights without a "
            "seed or generator of its own, as init.he_normal_(layer.weight) does"
        )
