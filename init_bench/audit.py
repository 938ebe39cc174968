"""Audit of the weights: what each parameter holds, what it should, and which rule it looks like."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.activations import ACTIVATIONS
from init_bench.init import fans
from init_bench.known_rules import looks_like
from init_bench.wrappers import own_modules

COLUMNS = (
    "parameter",
    "layer",
    "module",
    "shape",
    "fan_in",
    "fan_out",
    "mean",
    "std",
    "wanted_std",
    "nonfinite",
    "gain",
    "gradient_ratio",
    "looks_like",
    "fault",
)

UNTOUCHED_SMALL, UNTOUCHED_LARGE = 1e-30, 1e10
"""Magnitudes that no initialiser writes; memory that was never written is full of them."""

SMALL_SHARE = 0.01
"""Share of values below ``UNTOUCHED_SMALL`` (0 not counted) from which memory is called raw."""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_NOT_ELEMENTWISE = ("MultiheadAttention", "Softmax", "Softmax2d", "LogSoftmax", "GLU", "Softmin")


def audit(
    model: nn.Module, order: Sequence[str] = (), gradients: Mapping[str, Tensor] | None = None
) -> pd.DataFrame:
    """Return a row per parameter of ``model``.

    Columns: ``parameter`` (qualified name), ``layer``, ``module`` (class), ``shape``, ``fan_in``,
    ``fan_out``; ``mean`` and ``std`` (divided by n) of the values found; ``wanted_std`` =
    gain(φ) / √fan_in with gain(φ) = 1 / √E[φ'(a)²], a ~ N(0, 1), for the nonlinearity φ that
    runs next (1 for the last layer); ``nonfinite`` (share of nan and ±inf); ``gain`` =
    √(fan_in · mean W²), by which the weight multiplies an incoherent signal; ``gradient_ratio`` =
    ‖∂loss/∂W‖ / ‖W‖; ``looks_like`` (the rules whose moments and bounds fit, ``other`` where
    none does); ``fault``: what is plainly wrong, or empty.

    Args:
        model: any module.
        order: names of the layers in order of execution; without, no ``wanted_std``.
        gradients: by qualified name.

    Example:
        >>> layer = nn.Linear(100, 50)
        >>> audit(layer)[["parameter", "fan_in", "looks_like"]].to_numpy().tolist()[0]
        ['weight', 100, 'torch.default']
    """
    modules = dict(model.named_modules()) | own_modules(model)
    wanted = _wanted_gains(modules, order)
    first_names: dict[int, str] = {}
    rows = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        path, _, own = name.rpartition(".")
        row = _row(modules[path], own, parameter.detach())
        gradient = (gradients or {}).get(name)
        tied = first_names.setdefault(id(parameter), name)
        rows.append(
            {
                **row,
                "parameter": name,
                "layer": path,
                "wanted_std": wanted.get(path, math.nan) / math.sqrt(row["fan_in"] or math.nan),
                "gradient_ratio": _ratio(gradient, parameter),
                "fault": f"tied to {tied}" if tied != name else row["fault"],
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def gain_of(module: nn.Module) -> float:
    """Return 1 / √E[φ'(a)²], a ~ N(0, 1): the gain that keeps gradients level through φ.

    nan for what is no elementwise nonlinearity of torch's.

    Example:
        >>> round(gain_of(nn.ReLU()), 3), round(gain_of(nn.Tanh()), 2)
        (1.414, 1.47)
    """
    if not is_nonlinearity(module) or isinstance(module, nn.PReLU):
        return math.nan
    # Midpoints of equal slices of probability: an even number, so that none falls on a kink at 0.
    share = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    a = (math.sqrt(2) * torch.erfinv(2 * share - 1)).requires_grad_()
    with torch.enable_grad():
        z = type(module).forward(module, a.clone())
        (slope,) = torch.autograd.grad(z.sum(), a)
    square = slope.square().mean().item()
    return 1 / math.sqrt(square) if square > 0 else math.nan


def is_nonlinearity(module: nn.Module) -> bool:
    """Return whether ``module`` is one of torch's elementwise nonlinearities."""
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" and (
        kind.__name__ not in _NOT_ELEMENTWISE
    )


def _row(module: nn.Module, own: str, parameter: Tensor) -> dict[str, Any]:
    """Return what one parameter says by itself."""
    values = parameter.float() if parameter.is_floating_point() else parameter.abs().float()
    fan_in, fan_out = _fans(module, parameter)
    finite = bool(values.isfinite().all())
    square = values.double().square().mean().item() if values.numel() else math.nan
    multiplies = fan_in > 1 and not isinstance(module, _TABLES)
    return {
        "module": type(module).__name__,
        "shape": tuple(parameter.shape),
        "fan_in": fan_in,
        "fan_out": fan_out,
        "mean": values.mean().item() if finite and values.numel() else math.nan,
        "std": values.std(correction=0).item() if finite and values.numel() else math.nan,
        "nonfinite": 1 - values.isfinite().double().mean().item() if values.numel() else 0.0,
        "gain": math.sqrt(fan_in * square) if finite and multiplies else math.nan,
        "looks_like": looks_like(module, own, values) if finite else "other",
        "fault": next(_faults(values, multiplies), ""),
    }


def _faults(values: Tensor, multiplies: bool) -> Iterator[str]:
    """Yield what is plainly wrong with a parameter, the worst first."""
    broken = int((~values.isfinite()).sum())
    if broken:
        yield f"non-finite: {broken} of {values.numel()} values"
        return
    size = values.abs()
    raw = (size > 0) & (size < UNTOUCHED_SMALL)
    if (size > UNTOUCHED_LARGE).any() or raw.double().mean().item() > SMALL_SHARE:
        yield "never initialised: values as of memory that nobody wrote"
    if multiplies and values.numel() > 1 and (values == values.flatten()[0]).all():
        yield f"all equal: {values.flatten()[0].item():g}"


def _fans(module: nn.Module, parameter: Tensor) -> tuple[int, int]:
    """Return fan_in and fan_out; a transposed convolution's are the other way round."""
    if parameter.dim() < 2:
        return 0, 0
    if isinstance(module, _TRANSPOSED):
        kernel = math.prod(parameter.shape[2:])
        stride = math.prod(module.stride)
        return max(1, parameter.shape[0] // module.groups * kernel // stride), (
            parameter.shape[1] * kernel
        )
    return fans(parameter)


def _ratio(gradient: Tensor | None, parameter: Tensor) -> float:
    if gradient is None:
        return math.nan
    size = parameter.detach().double().norm().item()
    return gradient.double().norm().item() / size if size else math.nan


def _functional_gain(name: str) -> float:
    """Return the gain of a nonlinearity called as a function, nan off the menu."""
    return gain_of(ACTIVATIONS[name].module()) if name in ACTIVATIONS else math.nan


def _wanted_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
    """Return by layer the gain that the nonlinearity behind it asks for."""
    wanted: dict[str, float] = {}
    waiting: list[str] = []
    for path in order:
        _, called, name = path.partition(":")
        if called:
            wanted |= dict.fromkeys(waiting, _functional_gain(name))
            waiting = []
            continue
        module = modules[path]
        if is_nonlinearity(module):
            wanted |= dict.fromkeys(waiting, gain_of(module))
            waiting = []
            continue
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, _TABLES):
            waiting = [path]
    return wanted | dict.fromkeys(waiting, 1.0)
