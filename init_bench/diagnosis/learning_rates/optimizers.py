"""Build an optimizer at a learning rate, from its name or from a function of the model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from init_bench.diagnosis.training_steps import SUCH_AS, Optimizer, optimizer_of
from init_bench.errors import InitBenchError, lookup
from init_bench.init import Report
from init_bench.training.engine.optimizers import OPTIMIZERS

MIDDLE = {"sgd": 10**-1.5, "momentum": 10**-2.5, "adagrad": 0.01, "adam": 0.001, "adamw": 0.001}
"""The rate in the middle of those tried, by name of the optimizer."""


MOMENTUM = 0.9
"""Of the optimizer ``momentum``; the default of a grid."""


RATES, DECADES = 9, 4
"""How many rates are tried unless others are given, and the decades that they span."""


FEWEST_RATES = 3


RatedOptimizer = Callable[[nn.Module, float], torch.optim.Optimizer]
"""Builds the optimizer of a model at a learning rate."""


def optimizer_and_rates(
    model: nn.Module,
    optimizer: str | Optimizer,
    rates: Sequence[float] | None,
    report: Report | None = None,
) -> tuple[str, RatedOptimizer, list[float]]:
    """Return the optimizer's name, how to build it at a rate, and the rates from low to high.

    A function of the model builds it at a rate of its own: without ``rates``, those tried lie
    around that one. Parameter groups keep the ratios of their rates; the factors of ``report``,
    if there is one, multiply them.

    Raises:
        InitBenchError: the name is unknown, the function builds no optimizer of ``model``, one
            without a learning rate or one that needs a closure, or ``rates`` are no rates.
    """
    if report is not None and not isinstance(report, Report):
        raise InitBenchError(
            f"report must be what ib.initialize returns, got a {type(report).__name__}"
        )
    build = _named(optimizer) if isinstance(optimizer, str) else optimizer
    probe = optimizer_of(model, build)
    kind = type(probe).__name__
    middle = _rate_of(probe)
    name = optimizer if isinstance(optimizer, str) else kind

    def rated(model: nn.Module, lr: float) -> torch.optim.Optimizer:
        update = optimizer_of(model, build)
        for group in update.param_groups:
            group["lr"] = lr * (float(group["lr"]) / middle)
        return update if report is None else report.scale_rates(update, model)

    return name, rated, _around(middle) if rates is None else _checked(rates)


def _named(name: str) -> Optimizer:
    """Return the function that builds the optimizer of that name, as ``torch.optim`` does."""
    torch_class = lookup(OPTIMIZERS, name, kind="optimizer").torch_class
    middle = MIDDLE.get(name)
    if torch_class is None or middle is None:
        raise InitBenchError(
            f"optimizer {name!r} has no counterpart in torch.optim; pass a function that builds "
            f"it, {SUCH_AS}"
        )
    settings: dict[str, Any] = {"lr": middle}
    if name == "momentum":
        settings["momentum"] = MOMENTUM
    return lambda model: torch_class(model.parameters(), **settings)


def _rate_of(update: torch.optim.Optimizer) -> float:
    """Return the rate of the first group with one."""
    rates = [float(group["lr"]) for group in update.param_groups if "lr" in group]
    if len(rates) < len(update.param_groups) or not max(rates) > 0:
        raise InitBenchError(
            f"the {type(update).__name__} that optimizer(model) returns has no learning rate above "
            f"0 (lr in its param_groups): rates to try are multiples of it; pass lr=, {SUCH_AS}"
        )
    return next(rate for rate in rates if rate > 0)


def _around(middle: float) -> list[float]:
    """Return rates that span ``DECADES`` around ``middle``, equally spaced in their logarithm."""
    exponents = (DECADES * (i / (RATES - 1) - 0.5) for i in range(RATES))
    return [10 ** (math.log10(middle) + exponent) for exponent in exponents]


def _checked(rates: Sequence[float]) -> list[float]:
    try:
        found = sorted({float(rate) for rate in rates})
    except (TypeError, ValueError):
        found = []
    if len(found) < FEWEST_RATES or not all(0 < rate < math.inf for rate in found):
        raise InitBenchError(
            f"rates must be {FEWEST_RATES} or more different finite numbers above 0, such as "
            f"[0.001, 0.01, 0.1, 1], got {rates!r}"
        )
    return found
