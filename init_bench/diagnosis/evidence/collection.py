"""One pass through a model, forward and backward, as evidence; afterwards nobody has looked."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.checks import (
    _dtype_hint,
    _refuse_broken_targets,
    _refuse_detached,
    _refuse_no_function,
    _refuse_no_layers,
    _refuse_no_parameters,
    _refuse_no_scalar,
)
from init_bench.diagnosis.evidence.layers import profile_of
from init_bench.diagnosis.evidence.parameters import audit
from init_bench.errors import InitBenchError
from init_bench.hooks.batch_axis import samples_second
from init_bench.hooks.dropout import let_pass, undropped
from init_bench.hooks.isolation import left_as_it_was
from init_bench.hooks.layer_inputs import (
    described,
    gradients_of_computed,
    noting_arrivals,
    noting_functions,
)
from init_bench.hooks.model_call import call, shapes
from init_bench.hooks.module_names import own_modules, own_parameters
from init_bench.hooks.nested_tensors import tensors_in
from init_bench.hooks.record import watched

Loss = Callable[[Any, Any], Tensor]
"""Takes the model's output and the targets, returns a scalar."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one look found.

    Attributes:
        layers: the table of ``capture``.
        profile: a row per layer call, a hidden nonlinearity called as a function being a layer too
            (``module`` is its name, ``place`` the module by which findings call it: the one in
            front of it, or the one that consists of it): its statistics and those of its input;
            ``gradient``, the RMS of the loss's gradient with respect to its output;
            ``weight_gain`` = √(fan_in · mean W²), the factor by which its weights multiply an
            incoherent signal; ``units``, the rows of its weight, and ``distinct``, how many of
            them differ (of a layer of several matrices, such as attention, see
            ``init_bench.stacked``); ``outputs``, the values per sample; ``nonlinear``, whether it
            is an elementwise nonlinearity.
        histograms: how each output's values are spread, see ``Record.histograms``.
        weights: the audit, a row per parameter; ``gradient_ratio`` is ‖∂loss/∂W‖ / ‖W‖.
        output: how many ``tensors`` the model returns, and of the first how many ``samples`` and
            ``dimensions`` it has, ``rms``, ``std``, ``sample_std``, ``dead`` and ``nonfinite``.
        loss: the loss, nan where none was asked for.
    """

    layers: pd.DataFrame
    profile: pd.DataFrame
    histograms: pd.DataFrame
    weights: pd.DataFrame
    output: dict[str, float]
    loss: float


def examine(
    model: nn.Module, inputs: Any, targets: Any = None, loss_fn: Loss | None = None
) -> Evidence:
    """Run ``model`` once on ``inputs``, backward too where a loss is given, and keep numbers.

    Parameters, their ``.grad``, buffers, the mode of the model and the global random streams are
    afterwards what they were. Dropout and stochastic depth let everything pass, as a mask would
    tell even equal samples apart (see ``init_bench.undropped`` for how); other draws come from a
    seeded stream: two looks agree.

    Raises:
        InitBenchError: the model has no parameters, does not run on ``inputs``, or the loss does
            not take what the model returns, is no scalar, or is no number because of the targets.
    """
    _refuse_no_parameters(model)
    _refuse_no_function(loss_fn)
    arrivals: list[dict[str, object]] = []
    of_computed: dict[str, Tensor] = {}
    with ExitStack() as looks:
        looks.enter_context(left_as_it_was(model, inputs))
        let_pass(model)
        looks.enter_context(undropped())
        arrive = noting_functions(arrivals)
        record = looks.enter_context(watched(model, histogram=True, arrive=arrive))
        looks.enter_context(noting_arrivals(model, arrivals))
        looks.enter_context(gradients_of_computed(model, of_computed))
        with torch.set_grad_enabled(loss_fn is not None):
            output = _run(model, inputs, arrivals)
            loss = math.nan if loss_fn is None else _backward(model, loss_fn, output, targets)
        own = own_parameters(model).items()
        gradients = of_computed | {name: p.grad for name, p in own if p.grad is not None}
        layers = record.table()
        _refuse_no_layers(model, layers)
        ran = layers.drop_duplicates("index")["layer"].tolist()
        weights = audit(model, ran, gradients)
        profile = profile_of(model, layers, pd.DataFrame(arrivals), weights)
    second = "" in samples_second(own_modules(model))
    numbers = described(output, second=second)
    return Evidence(
        layers=layers,
        profile=profile,
        histograms=record.histograms(),
        weights=weights,
        output=numbers | {"tensors": len(list(tensors_in(output)))},
        loss=loss,
    )


def _run(model: nn.Module, inputs: Any, arrivals: list[dict[str, object]]) -> Any:
    """Run the model; its own error is kept underneath one line that says which layer it was."""
    try:
        return call(model, inputs)
    except Exception as cause:
        last = arrivals[-1] if arrivals else {}
        where = "after" if "outputs" in last else "in"
        reached = f"{where} layer {last['layer']!r}" if last else "before its first layer"
        raise InitBenchError(
            f"{type(model).__name__} does not run on {shapes(inputs)}: it stops {reached}\n"
            f"{type(cause).__name__}: {cause}{_dtype_hint(model, inputs, cause)}"
        ) from cause


def _backward(model: nn.Module, loss_fn: Loss, output: Any, targets: Any) -> float:
    try:
        loss = loss_fn(output, targets)
        _refuse_no_scalar(loss)
        if not loss.requires_grad:
            _refuse_detached(model, output)
            raise ValueError("no gradient leads from the loss back to a parameter")
        _refuse_broken_targets(loss, output, targets)
        loss.backward()  # type: ignore[no-untyped-call]
    except InitBenchError:
        raise
    except Exception as cause:
        raise InitBenchError(
            f"loss_fn does not take the output {shapes(output)} with targets {shapes(targets)}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    return loss.item()
