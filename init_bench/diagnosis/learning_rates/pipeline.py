"""Find which learning rates a start allows: ``rate_window``."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import nn

from init_bench.diagnosis.default_loss import cross_entropy
from init_bench.diagnosis.evidence.preconditions import check_parameters
from init_bench.diagnosis.learning_rates.learner import Learner
from init_bench.diagnosis.learning_rates.minibatches import Minibatches, is_loader
from init_bench.diagnosis.learning_rates.optimizers import optimizer_and_rates
from init_bench.diagnosis.learning_rates.result import RateWindow
from init_bench.diagnosis.learning_rates.trials import BUDGET, SMOOTH, Search, Trial, search
from init_bench.diagnosis.loss_or_nan import Loss
from init_bench.diagnosis.training_steps import Optimizer
from init_bench.errors import InitBenchError, check_int
from init_bench.hooks.isolation import preserved_state
from init_bench.hooks.model_call import check_is_module
from init_bench.hooks.module_names import unwrapped
from init_bench.hooks.python_state import preserved_python_state
from init_bench.init import Report
from init_bench.init.progress_bar import progress_bar

HORIZON = 1000
"""Training steps that a window speaks of."""


def rate_window(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    loss_fn: Loss | None = None,
    *,
    optimizer: str | Optimizer = "sgd",
    rates: Sequence[float] | None = None,
    steps: int = HORIZON,
    goal: float | None = None,
    report: Report | None = None,
) -> RateWindow:
    """Return the learning rates at which ``model`` learns from its present weights.

    Short trials start from these weights, each with the same minibatches and the same dropout:
    at most 280 steps in all. From the highest rate down, the first at which the loss clearly falls
    and does not diverge in the 20 steps after is the upper end; later steps are not tried. A
    trial a decade lower counts the steps to the goal. A lower rate takes more of them, in inverse
    proportion; the lower end is the least rate that needs no more than ``steps``. A loss that
    diverges is a result. Weights, gradients, buffers, mode and global random streams are restored,
    with the same bits.

    Beside the window stands what the curvature says: 2/λ_max of the Hessian at the start, by 8
    Hessian-vector products, and 1/‖W‖² for each weight whose size does not matter because a
    normalization follows.

    Formula:
        goal = 0.65 · min(loss of the start, loss of the best constant output);
        width = log10(high / low) decades.

    Args:
        model: any module with parameters, in the mode in which it is to be trained.
        inputs: as for ``init_bench.diagnose``; of more than 128 samples, each step draws 128. Or a
            loader of (inputs, targets), of which at most 40 minibatches are kept.
        targets: what ``loss_fn`` takes beside the output; none with a loader.
        loss_fn: takes output and targets, returns a scalar. Default: cross-entropy.
        optimizer: ``sgd``, ``momentum``, ``adagrad``, ``adam`` or ``adamw``, or a function that
            builds one of the model, as in ``lambda model: torch.optim.SGD(model.parameters(),
            lr=0.1)``; then its own rate is in the middle of those tried.
        rates: 3 or more rates to try. Default: nine over four decades.
        steps: training steps that the window speaks of.
        goal: a loss that counts as learned, below that of the start.
        report: what ``initialize`` returned for this model: factors of its parameters' rates
            multiply those tried.

    Returns:
        ``RateWindow``: ``.low``, ``.high``, ``.decades``, ``.summary``, ``.table``, ``.figure()``.

    Raises:
        InitBenchError: there are no targets and no loss, the model does not run on ``inputs``, the
            loss of the start is no finite number, the goal is not below it, or optimizer or rates
            are none that can be tried.

    Example:
        >>> import init_bench as ib
        >>> model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))
        >>> report = ib.initialize(model, "he_normal", seed=0)
        >>> x = torch.randn(256, 20, generator=torch.Generator().manual_seed(0))
        >>> window = ib.rate_window(model, x, (x[:, 0] > 0).long())
        >>> 0 < window.low < window.high, int(window.trials["steps"].sum()) <= 280
        (True, True)
    """
    check_is_module(model)
    check_parameters(model)
    if not is_loader(inputs) and targets is None and loss_fn is None:
        raise InitBenchError(
            "rate_window trains the model: pass targets, loss_fn or both, or a loader of pairs "
            "(inputs, targets)"
        )
    model, steps = unwrapped(model), check_int(steps, "steps", minimum=1)
    name, rated, tried = optimizer_and_rates(model, optimizer, rates, report)
    with preserved_state(model), preserved_python_state(model), _restored_generator(inputs):
        learner = Learner(model, Minibatches(inputs, targets), loss_fn or cross_entropy, rated)
        levels = learner.levels(goal)
        with progress_bar(BUDGET, "rates") as done:
            found = search(learner.trial(levels, done), tried, levels, steps)
        curvature, scale_free = learner.curvature()
    return RateWindow(
        optimizer=name,
        trials=_table(found, tried),
        curves=_curves(found),
        low=found.low,
        high=found.high,
        first_loss=levels.first,
        chance_loss=levels.chance,
        goal=levels.goal,
        horizon=steps,
        curvature=curvature,
        scale_free=scale_free,
        notes=(*learner.batches.remarks(), *_notes(model, curvature)),
    )


@contextmanager
def _restored_generator(loader: Any) -> Iterator[None]:
    """Restore the state of a loader's own generator, from which it draws its order."""
    generator = getattr(loader, "generator", None)
    state = generator.get_state() if isinstance(generator, torch.Generator) else None
    try:
        yield
    finally:
        if isinstance(generator, torch.Generator) and state is not None:
            generator.set_state(state)


def _table(found: Search, rates: Sequence[float]) -> pd.DataFrame:
    """Return a row per rate; of two trials at one rate, the longer."""
    trials: dict[float, Trial] = {}
    for trial in sorted(found.trials, key=lambda one: len(one.losses)):
        trials[trial.lr] = trial
    rows = [
        {
            "lr": lr,
            "outcome": trials[lr].outcome if lr in trials else "not tried",
            "steps": len(trials[lr].losses) if lr in trials else 0,
            "last_loss": _last_loss(trials[lr]) if lr in trials else math.nan,
            "in_window": found.low <= lr <= found.high,
        }
        for lr in rates
    ]
    return pd.DataFrame(rows)


def _last_loss(trial: Trial) -> float:
    last = trial.losses[-SMOOTH:]
    return sum(last) / len(last)


def _curves(found: Search) -> pd.DataFrame:
    rows = [
        {"lr": trial.lr, "step": step, "loss": loss}
        for trial in found.trials
        for step, loss in enumerate(trial.losses)
    ]
    return pd.DataFrame(rows, columns=["lr", "step", "loss"])


def _notes(model: nn.Module, curvature: float) -> tuple[str, ...]:
    notes = []
    if not model.training:
        notes.append("The model is in eval mode, and so it was trained; model.train() changes it.")
    if math.isnan(curvature):
        notes.append(
            "Curvature was not measured: it is not finite, or a layer allows no second derivative."
        )
    return tuple(notes)
