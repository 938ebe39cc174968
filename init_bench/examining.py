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
from init_bench.init.objective import tensors_in
from init_bench.init.snapshot import seed_rng, undisturbed
from init_bench.recording import watched
from init_bench.stacked import worst_matrices
from init_bench.undropped import let_pass, undropped
from init_bench.wanted import is_nonlinearity
from init_bench.wrappers import own_modules, own_parameters, still

Loss = Callable[[Any, Any], Tensor]
"""Takes the model's output and the targets, returns a scalar."""

MOST_SHAPES = 6
"""Members of a list or tuple that a message shows one by one."""

PROFILE = (
    "layer",
    "place",
    "index",
    "module",
    "kind",
    "nonlinear",
    "units",
    "outputs",
    "mean",
    "std",
    "sample_std",
    "min",
    "max",
    "saturated",
    "dead",
    "correlation",
    "nonfinite",
    "distinct",
    "input_std",
    "input_sample_std",
    "input_dead",
    "input_nonfinite",
    "gradient",
    "gradient_nonfinite",
    "weight_gain",
)
"""Columns of ``Evidence.profile``."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one look found.

    Attributes:
        layers: the table of ``capture``.
        profile: a row per layer call, a nonlinearity called as a function being a layer too
            (``module`` is its name, ``place`` the module in front of it, by which findings call
            it): its statistics and those of its input; ``gradient``, the
            RMS of the loss's gradient with respect to its output; ``weight_gain`` = √(fan_in ·
            mean W²), the factor by which its weights multiply an incoherent signal; ``units``,
            the rows of its weight, and ``distinct``, how many of them differ (of a layer of
            several matrices, such as attention, see ``init_bench.stacked``); ``outputs``, the
            values per sample; ``nonlinear``, whether it is an elementwise nonlinearity.
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
    if not any(True for _ in model.parameters()):
        raise InitBenchError(
            f"{type(model).__name__} has no parameters: there is no initialisation to look at"
        )
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
        ran = layers.drop_duplicates("index")["layer"].tolist()
        weights = audit(model, ran, gradients)
        profile = _profile(model, layers, pd.DataFrame(arrivals), weights)
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
        kind = next(model.parameters()).dtype
        hint = f"\nits parameters are {kind}: give inputs of that type" * ("dtype" in str(cause))
        raise InitBenchError(
            f"{type(model).__name__} does not run on {shapes(inputs)}: it stops {reached}\n"
            f"{type(cause).__name__}: {cause}{hint}"
        ) from cause


def _backward(model: nn.Module, loss_fn: Loss, output: Any, targets: Any) -> float:
    try:
        _refuse_no_function(loss_fn)
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


def _refuse_no_function(loss_fn: object) -> None:
    if isinstance(loss_fn, type):
        name = loss_fn.__name__
        raise InitBenchError(f"loss_fn is the class {name}: give one of it, loss_fn={name}()")
    if not callable(loss_fn):
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
    broken = sum(int((~target.isfinite()).sum()) for target in tensors_in(targets))
    if broken and not loss.isfinite() and all(one.isfinite().all() for one in tensors_in(output)):
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


def _profile(
    model: nn.Module, layers: pd.DataFrame, arrivals: pd.DataFrame, weights: pd.DataFrame
) -> pd.DataFrame:
    """Join outputs, gradients, weights and inputs into a row per call of a module, or of a
    nonlinearity called as a function. What is computed of no sample is left out."""
    outputs = layers[layers["kind"].isin(["pre_activation", "activation"])].copy()
    gradients = layers[layers["kind"] == "gradient"].set_index("index")
    matrices = layers[layers["kind"] == "weight"].set_index("index")
    rms = (gradients["mean"] ** 2 + gradients["std"] ** 2) ** 0.5
    for name, values in (
        ("gradient", rms),
        ("gradient_nonfinite", gradients["nonfinite"]),
        ("distinct", matrices["distinct"]),
    ):
        outputs[name] = outputs["index"].map(values[~values.index.duplicated()])
    modules = own_modules(model)
    ran = {layer: modules[layer] for layer in outputs["layer"] if layer in modules}
    outputs = _with_modules(outputs, ran)
    multiply = weights.dropna(subset=["gain"]).groupby("layer").first()
    outputs["weight_gain"] = outputs["layer"].map(multiply["gain"])
    outputs["units"] = outputs["layer"].map(multiply["shape"].str[0])
    with still(model), torch.no_grad():
        stacked = worst_matrices(ran)
    for name in ("weight_gain", "units", "distinct"):
        outputs[name] = outputs["layer"].map(stacked[name]).fillna(outputs[name])
    outputs = _of_samples(_with_arrivals(outputs, arrivals))
    return outputs.reindex(columns=list(PROFILE)).reset_index(drop=True)


def _with_modules(outputs: pd.DataFrame, ran: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Say what each layer is and where: a function's name is what stands behind the colon."""
    layers, of_module = outputs["layer"], outputs["layer"].isin(ran)
    kinds = layers.map({layer: type(module).__name__ for layer, module in ran.items()})
    nonlinear = {layer for layer, module in ran.items() if is_nonlinearity(module)}
    return outputs.assign(
        module=kinds.where(of_module, layers.str.rpartition(":")[2]),
        place=layers.where(of_module).ffill().fillna(layers),
        nonlinear=layers.isin(nonlinear) | ~of_module,
    )


def _with_arrivals(outputs: pd.DataFrame, arrivals: pd.DataFrame) -> pd.DataFrame:
    """Match the n-th input of a layer with its n-th output."""
    if arrivals.empty:
        return outputs
    arrivals = arrivals.assign(turn=arrivals.groupby("layer").cumcount())
    outputs = outputs.assign(turn=outputs.groupby("layer").cumcount())
    return outputs.merge(arrivals, on=["layer", "turn"], how="left").drop(columns="turn")


def _of_samples(outputs: pd.DataFrame) -> pd.DataFrame:
    """Leave out layers of a single row: they see a table, as of the positions in Swin v2."""
    return outputs[outputs["samples"] != 1] if "samples" in outputs else outputs
