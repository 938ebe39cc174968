"""One pass through a model, forward and backward, as evidence; afterwards nobody has looked."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.audit import audit
from init_bench.batches import samples_along, samples_second
from init_bench.errors import InitBenchError
from init_bench.init.snapshot import seed_rng, undisturbed
from init_bench.recording import capture
from init_bench.stacked import worst_matrices
from init_bench.statistics import describe
from init_bench.wanted import is_nonlinearity
from init_bench.watching import first_tensor
from init_bench.wrappers import own_modules, own_parameters, still

Loss = Callable[[Any, Any], Tensor]
"""Takes the model's output and the targets, returns a scalar."""

PROFILE = (
    "layer",
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
        profile: a row per layer call: its statistics and those of its input; ``gradient``, the
            RMS of the loss's gradient with respect to its output; ``weight_gain`` = √(fan_in ·
            mean W²), the factor by which its weights multiply an incoherent signal; ``units``,
            the rows of its weight, and ``distinct``, how many of them differ (of a layer of
            several matrices, such as attention, see ``init_bench.stacked``); ``outputs``, the
            values per sample; ``nonlinear``, whether it is an elementwise nonlinearity.
        histograms: how each output's values are spread, see ``Record.histograms``.
        weights: the audit, a row per parameter; ``gradient_ratio`` is ‖∂loss/∂W‖ / ‖W‖.
        output: statistics of the model's first output tensor: ``rms``, ``sample_std``,
            ``nonfinite``, ``samples``.
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
    afterwards what they were. Dropout draws from a seeded stream: two looks agree.

    Raises:
        InitBenchError: the model has no parameters, does not run on ``inputs``, or the loss does
            not take what the model returns.
    """
    if not any(True for _ in model.parameters()):
        raise InitBenchError(
            f"{type(model).__name__} has no parameters: there is no initialisation to look at"
        )
    arrivals: list[dict[str, object]] = []
    of_computed: dict[str, Tensor] = {}
    with ExitStack() as looks:
        looks.enter_context(left_as_it_was(model))
        record = looks.enter_context(capture(model, histogram=True))
        looks.enter_context(_arrivals(model, arrivals))
        looks.enter_context(_gradients_of_computed(model, of_computed))
        with torch.set_grad_enabled(loss_fn is not None):
            output = _run(model, inputs, arrivals)
        loss = math.nan if loss_fn is None else _backward(loss_fn, output, targets)
        own = own_parameters(model).items()
        gradients = of_computed | {name: p.grad for name, p in own if p.grad is not None}
        layers = record.table()
        ran = layers.drop_duplicates("index")["layer"].tolist()
        weights = audit(model, ran, gradients)
        profile = _profile(model, layers, pd.DataFrame(arrivals), weights)
    second = "" in samples_second(own_modules(model))
    return Evidence(
        layers=layers,
        profile=profile,
        histograms=record.histograms(),
        weights=weights,
        output=_described(output, second=second),
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
            f"{type(cause).__name__}: {cause}"
        ) from cause


def _backward(loss_fn: Loss, output: Any, targets: Any) -> float:
    try:
        loss = loss_fn(output, targets)
        if isinstance(loss, Tensor) and not loss.requires_grad:
            raise ValueError("no gradient leads from the loss back to a parameter")
        loss.backward()  # type: ignore[no-untyped-call]
    except Exception as cause:
        raise InitBenchError(
            f"loss_fn does not take the output {shapes(output)} with targets {shapes(targets)}: "
            f"{type(cause).__name__}: {cause}"
        ) from cause
    return loss.item()


def shapes(value: object) -> str:
    """Return the shapes and types of the tensors in ``value``, for a message.

    Example:
        >>> shapes((torch.zeros(2, 3), 1))
        '(float32 (2, 3), 1)'
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(shapes, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shapes(part)}" for key, part in value.items()) + "}"
    return repr(value) if isinstance(value, int | float | str | None) else type(value).__name__


@contextmanager
def left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Give back buffers, gradients and modes, whatever happens inside.

    What draws inside draws the same each time.
    """
    gradients = [(p, p.grad) for p in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        with undisturbed(model):
            seed_rng(model, 0)
            yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient


@contextmanager
def _arrivals(model: nn.Module, rows: list[dict[str, object]]) -> Iterator[None]:
    """Note what reaches each layer: out against in is what the layer itself did."""
    modules = own_modules(model)
    second = samples_second(modules)
    with ExitStack() as hooks:
        for path, module in modules.items():
            if not any(module.children()) or isinstance(module, nn.MultiheadAttention):
                before, after = _notes(path, rows, second=path in second)
                hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(after).remove)
        yield


def _notes(path: str, rows: list[dict[str, object]], *, second: bool) -> tuple[Any, Any]:
    """Return the hooks that note input and size of one layer."""

    @torch.no_grad()
    def before(module: nn.Module, inputs: tuple[object, ...], words: dict[str, object]) -> None:
        numbers = _described((inputs, words), second=second)
        rows.append({"layer": path, **{f"input_{key}": value for key, value in numbers.items()}})

    def after(module: nn.Module, inputs: object, output: object) -> None:
        left = first_tensor(output)
        if left is not None:
            row = next(row for row in reversed(rows) if row["layer"] == path)
            row["outputs"] = left.numel() / left.shape[samples_along(left, second=second)]

    return before, after


@contextmanager
def _gradients_of_computed(model: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """Add up the gradients of the weights that parametrisations compute, by qualified name."""

    def hook(name: str) -> Any:
        def add(gradient: Tensor) -> None:
            found[name] = found[name] + gradient if name in found else gradient

        def note(module: nn.Module, inputs: object, weight: Tensor) -> None:
            if weight.requires_grad:
                weight.register_hook(add)  # type: ignore[no-untyped-call]

        return note

    with ExitStack() as hooks:
        for path, module in own_modules(model).items():
            for name, parts in getattr(module, "parametrizations", {}).items():
                note = hook(f"{path}.{name}".lstrip("."))
                hooks.callback(parts.register_forward_hook(note).remove)
        yield


def _described(value: Any, *, second: bool) -> dict[str, float]:
    """Return spread over samples and RMS of the first tensor in ``value``."""
    tensor = first_tensor(value)
    if tensor is None:
        return {}
    samples = tensor.transpose(0, samples_along(tensor, second=second))
    numbers = describe(samples)
    return {
        "samples": float(len(samples)),
        "dimensions": float(tensor.dim()),
        "rms": math.hypot(numbers["mean"], numbers["std"]),
        **{name: numbers[name] for name in ("std", "sample_std", "dead", "nonfinite")},
    }


def _profile(
    model: nn.Module, layers: pd.DataFrame, arrivals: pd.DataFrame, weights: pd.DataFrame
) -> pd.DataFrame:
    """Join outputs, gradients, weights and inputs into a row per call of a module.

    What is called as a function is left out: no hook sees what reaches it, and the modules around
    it show what it does.
    """
    functional = layers["layer"].str.contains(":", regex=False)
    outputs = layers[layers["kind"].isin(["pre_activation", "activation"]) & ~functional].copy()
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
    ran = {layer: modules[layer] for layer in outputs["layer"]}
    outputs["module"] = [type(modules[layer]).__name__ for layer in outputs["layer"]]
    outputs["nonlinear"] = [is_nonlinearity(modules[layer]) for layer in outputs["layer"]]
    multiply = weights.dropna(subset=["gain"]).groupby("layer").first()
    outputs["weight_gain"] = outputs["layer"].map(multiply["gain"])
    outputs["units"] = outputs["layer"].map(multiply["shape"].str[0])
    with still(model), torch.no_grad():
        stacked = worst_matrices(ran)
    for name in ("weight_gain", "units", "distinct"):
        outputs[name] = outputs["layer"].map(stacked[name]).fillna(outputs[name])
    outputs = _with_arrivals(outputs, arrivals)
    return outputs.reindex(columns=list(PROFILE)).reset_index(drop=True)


def _with_arrivals(outputs: pd.DataFrame, arrivals: pd.DataFrame) -> pd.DataFrame:
    """Match the n-th input of a layer with its n-th output."""
    if arrivals.empty:
        return outputs
    arrivals = arrivals.assign(turn=arrivals.groupby("layer").cumcount())
    outputs = outputs.assign(turn=outputs.groupby("layer").cumcount())
    return outputs.merge(arrivals, on=["layer", "turn"], how="left").drop(columns="turn")
