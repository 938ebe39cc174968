"""One pass through a model, forward and backward, as evidence; afterwards nobody has looked."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.arrivals import described, gradients_of_computed, noting_arrivals, noting_functions
from init_bench.audit import audit
from init_bench.batches import samples_second
from init_bench.errors import InitBenchError
from init_bench.init.snapshot import seed_rng, undisturbed
from init_bench.layer_profile import profile_of
from init_bench.recording import watched
from init_bench.tensors import nonfinite_in, tensors_in
from init_bench.undropped import let_pass, undropped
from init_bench.wrappers import own_modules, own_parameters

Loss = Callable[[Any, Any], Tensor]
"""Takes the model's output and the targets, returns a scalar."""

MOST_SHAPES = 6
"""Members of a list or tuple that a message shows one by one."""


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


def call(model: nn.Module, inputs: Any) -> Any:
    """Return ``model`` of ``inputs``: a tuple is several arguments, a mapping keyword arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


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


def _dtype_hint(model: nn.Module, inputs: Any, cause: Exception) -> str:
    """Return what type of inputs suits the parameters, where the types are what does not fit."""
    kinds = {parameter.dtype for parameter in model.parameters()}
    given = {tensor.dtype for tensor in tensors_in(inputs)}
    if "dtype" not in str(cause) or len(kinds) > 1 or given <= kinds:
        return ""
    return f"\nits parameters are {next(iter(kinds))}: give inputs of that type"


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


def _refuse_no_parameters(model: nn.Module) -> None:
    if not any(True for _ in model.parameters()):
        raise InitBenchError(
            f"{type(model).__name__} has no parameters: there is no initialisation to look at"
        )


def _refuse_no_layers(model: nn.Module, layers: pd.DataFrame) -> None:
    if layers.empty:
        raise InitBenchError(
            f"no layer of this {type(model).__name__} has an output of real numbers: there is "
            f"nothing to measure"
        )


def _refuse_no_function(loss_fn: object) -> None:
    if isinstance(loss_fn, type):
        name = loss_fn.__name__
        raise InitBenchError(f"loss_fn is the class {name}: give one of it, loss_fn={name}()")
    if loss_fn is not None and not callable(loss_fn):
        raise InitBenchError(
            f"loss_fn must be a function of output and targets, such as nn.functional.mse_loss, "
            f"got {loss_fn!r}"
        )


def _refuse_no_scalar(loss: object) -> None:
    if not isinstance(loss, Tensor):
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got a {type(loss).__name__}: gradients are "
            f"judged, so leave out .item()"
        )
    if loss.numel() != 1:
        raise InitBenchError(
            f"loss_fn must return a scalar tensor, got {shapes(loss)}: reduce it, as .mean() does"
        )


def _refuse_broken_targets(loss: Tensor, output: Any, targets: Any) -> None:
    """Refuse a loss that is no number because of its targets; of weights it is a finding."""
    if loss.isfinite() or nonfinite_in(output):
        return
    if broken := nonfinite_in(targets):
        raise InitBenchError(
            f"targets {shapes(targets)} hold nan or ±inf ({broken} of their values) and the loss "
            f"is {loss.item():g}: clean the targets, or leave those values out in loss_fn"
        )


def _refuse_detached(model: nn.Module, output: Any) -> None:
    """Say why no gradient leads from the output back to a parameter, where that is so."""
    name = type(model).__name__
    without = "or leave out targets and loss_fn: then the signal alone is judged"
    if torch.is_inference_mode_enabled():
        raise InitBenchError(
            f"torch.inference_mode is on, which keeps no gradients: look at this {name} outside "
            f"of it, {without}"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InitBenchError(
            f"every parameter of this {name} is frozen (requires_grad=False), so none has a "
            f"gradient: call model.requires_grad_(True) before, {without}"
        )
    tensors = list(tensors_in(output))
    if tensors and not any(tensor.requires_grad for tensor in tensors):
        raise InitBenchError(
            f"no gradient leads from the output {shapes(output)} of this {name} back to a "
            f"parameter: its forward cuts it off, as detach() and torch.no_grad() do; mend that, "
            f"{without}"
        )


def shapes(value: object) -> str:
    """Return the shapes and types of the tensors in ``value``, for a message.

    A long list or tuple is told by its length and what comes first.

    Example:
        >>> shapes((torch.zeros(2, 3), 1))
        '(float32 (2, 3), 1)'
        >>> shapes(torch.zeros(64, 30).tolist())
        'list of 64, first list of 30, first 0.0'
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        if len(value) > MOST_SHAPES:
            return f"{type(value).__name__} of {len(value)}, first {shapes(value[0])}"
        return f"({', '.join(map(shapes, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shapes(part)}" for key, part in value.items()) + "}"
    return repr(value) if isinstance(value, int | float | str | None) else type(value).__name__


@contextmanager
def left_as_it_was(model: nn.Module, inputs: Any = None) -> Iterator[None]:
    """Give back buffers, gradients (those of inputs too) and modes, whatever happens inside.

    What draws inside draws the same each time.
    """
    leaves = [x for x in tensors_in(inputs) if x.is_leaf and x.requires_grad]
    gradients = [(tensor, tensor.grad) for tensor in (*model.parameters(), *leaves)]
    for tensor, _ in gradients:
        tensor.grad = None
    try:
        with undisturbed(model):
            seed_rng(model, 0)
            yield
    finally:
        for tensor, gradient in gradients:
            tensor.grad = gradient
