"""Describe each parameter: its values, the recommended std, and which init could have drawn it."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.evidence.recommended_gain import recommended_gains
from init_bench.diagnosis.recognition import looks_like
from init_bench.diagnosis.recognition.model_laws import starts_at_zero
from init_bench.hooks.isolation import frozen_parametrizations
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.weight_uses import WeightUse
from init_bench.init.whole_model.parameter_roles import is_known, is_weight
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.statistics.layer_statistics import rms

COLUMNS = (
    "parameter",
    "layer",
    "module",
    "shape",
    "fan_in",
    "fan_out",
    "mean",
    "std",
    "recommended_std",
    "wanted_std",
    "nonfinite",
    "gain",
    "stored_gain",
    "used_as",
    "gradient_ratio",
    "gradient_state",
    "looks_like",
    "fault",
)


UNTOUCHED_SMALL, UNTOUCHED_LARGE = 1e-30, 1e10
"""Magnitudes that no initializer writes; memory that was never written is full of them."""


AGREE = 1.5
"""Factor up to which the stored weight counts as what multiplies the signal."""


SMALL_SHARE = 0.01
"""Share of values below ``UNTOUCHED_SMALL`` (0 not counted) from which memory is called raw."""


def parameter_table(
    view: ModelView,
    order: Sequence[str] = (),
    gradients: Mapping[str, Tensor] | None = None,
    uses: Mapping[str, WeightUse] | None = None,
    states: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return a row per parameter of a model, and one per weight that a parametrization computes.

    Columns: ``parameter`` (qualified name), ``layer``, ``module`` (class), ``shape``, ``fan_in``
    and ``fan_out`` as ``init_bench.init.module_fans`` counts them, of a user's own module those of
    the product that the pass saw; 0 of what is no weight or is used in an unknown way;
    ``mean`` and ``std`` (divided by n) of the values found; ``recommended_std`` =
    gain(φ) / √fan_in with gain(φ) = 1 / √E[φ'(a)²], a ~ N(0, 1), for the nonlinearity φ that
    runs next (1 for the last layer, before a sigmoid or tanh too), divided by the factor by which
    the layer rescales its weight when it uses it, if any (see ``rescaling``); ``nonfinite`` (share
    of nan and ±inf); ``gain`` = √(fan_in · mean W²), by which the weight as it is used multiplies
    an incoherent signal, and
    ``stored_gain`` the same of the stored values; ``used_as`` (``matrix``, ``table``, ``scale`` or
    ``unknown``); ``gradient_ratio`` = ‖∂loss/∂W‖ / ‖W‖; ``gradient_state``, empty where there is
    no loss and of what is frozen, see ``gradient_states``; ``looks_like`` (the rules that
    could have drawn it, ``other`` where none could); ``fault``: what is plainly wrong, or empty.

    The weight of ``weight_norm`` and the like has a row under the name by which the module holds
    it, ``0.weight``; the parameters that it is computed from follow, without fans and gain.
    ``wanted_std`` is the old name of ``recommended_std`` and goes with the next release.

    Args:
        view: of the model.
        order: names of the layers in order of execution; without, no ``recommended_std``.
        gradients: by qualified name.
        uses: how the pass used each parameter, by qualified name.
        states: of the gradients, by qualified name.

    Example:
        >>> layer = nn.Linear(100, 50)
        >>> table = parameter_table(ModelView(layer))
        >>> table[["parameter", "fan_in", "looks_like"]].to_numpy().tolist()[0]
        ['weight', 100, 'torch.default']
    """
    with frozen_parametrizations(view.model):
        rows = _rows(view, order, gradients or {}, uses or {}, states or {})
        return pd.DataFrame(rows, columns=list(COLUMNS))


def rescaling(used: float, stored: float) -> float:
    """Return the factor by which a layer multiplies its weight when it uses it, 1 if by none.

    Args:
        used: gain of the weight as it is used.
        stored: gain of the stored values; up to a factor of ``AGREE`` from the other they agree.

    Example:
        >>> rescaling(1.5, 12.0), rescaling(1.5, 1.75), rescaling(math.nan, 1.5)
        (0.125, 1.0, 1.0)
    """
    if not stored > 0 or not used > 0 or abs(math.log(used / stored)) < math.log(AGREE):
        return 1.0
    return used / stored


def _rows(
    view: ModelView,
    order: Sequence[str],
    gradients: Mapping[str, Tensor],
    uses: Mapping[str, WeightUse],
    states: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Yield a row per parameter and per parametrized weight."""
    modules = view.modules_by_every_name
    gains = recommended_gains(modules, order)
    first_names: dict[int, str] = {}
    for parameter, values in itertools.chain.from_iterable(
        itertools.starmap(_parameters_of, modules.items())
    ):
        first = parameter.name
        if not parameter.parametrized:
            first = first_names.setdefault(id(values), first)
        parameter = _with_use(parameter, uses.get(first))
        row = _row(parameter, values.detach())
        fan_in = row["fan_in"] or math.nan
        recommended_std = gains.get(parameter.path, math.nan) / math.sqrt(fan_in)
        recommended_std /= rescaling(row["gain"], row["stored_gain"])
        yield {
            **row,
            "recommended_std": recommended_std,
            "wanted_std": recommended_std,
            "gradient_ratio": _ratio(gradients.get(first), values),
            "gradient_state": states.get(first, ""),
            "fault": f"tied to {first}" if first != parameter.name else row["fault"],
        }


def _parameters_of(path: str, module: nn.Module) -> Iterator[tuple[NamedParameter, Tensor]]:
    """Yield the parameters of ``module``, and each parametrized weight before what computes it."""
    computed = _computed_by_hooks(module)
    for name in computed:
        weight = getattr(module, name)
        yield _named(path, module, name, weight, parametrized=True), weight
    for name, own in module._parameters.items():
        if own is not None:
            parameter = _named(path, module, name, own)
            part = name.rpartition("_")[0] in computed
            yield replace(parameter, role="left") if part else parameter, own
    for name, parts in getattr(module, "parametrizations", {}).items():
        weight = getattr(module, name)
        yield _named(path, module, name, weight, parametrized=True), weight
        for part, own in parts.named_parameters():
            attribute = f"parametrizations.{name}.{part}"
            parameter = _named(path, module, attribute, own)
            yield replace(parameter, role="left"), own


def _computed_by_hooks(module: nn.Module) -> list[str]:
    """Return the weights that torch's older weight_norm and spectral_norm compute."""
    parts = {name: value for name, value in module._parameters.items() if value is not None}
    stems = {name.rpartition("_")[0] for name in parts if name.endswith(("_v", "_orig"))}
    kinds = (stem for stem in stems if f"{stem}_g" in parts or f"{stem}_orig" in parts)
    return [stem for stem in kinds if isinstance(getattr(module, stem, None), Tensor)]


def _named(
    path: str, module: nn.Module, name: str, value: Tensor, *, parametrized: bool = False
) -> NamedParameter:
    return NamedParameter(
        name=f"{path}.{name}".lstrip("."),
        path=path,
        module=module,
        attribute=name,
        role="weight" if is_weight(module, name, value) else "left",
        parametrized=parametrized,
    )


def _with_use(parameter: NamedParameter, use: WeightUse | None) -> NamedParameter:
    """Return the parameter with its use: what meets the signal entry by entry is no weight."""
    if parameter.role != "weight" or use is None:
        return parameter
    if is_known(parameter.module, parameter.attribute):
        says_more = use.kind == "matrix" and not parameter.is_torchs
        return replace(parameter, use=use) if says_more else parameter
    return replace(parameter, use=use, role="left" if use.kind == "scale" else "weight")


def _row(parameter: NamedParameter, values: Tensor) -> dict[str, Any]:
    """Return the columns that one parameter fills by itself."""
    real = values.is_floating_point()
    integer = not real and not values.is_complex()
    values = values if real else values.abs().float()
    count = values.numel()
    fan_in, fan_out = parameter.fans or (0, 0)
    broken = count - int(values.isfinite().sum())
    finite = count > 0 and not broken
    wide = values if values.dtype == torch.float64 else values.float()
    used_as = _used_as(parameter, whole=not integer)
    multiplies = used_as == "matrix" and fan_in > 0 and finite
    stored = math.sqrt(fan_in) * rms(values) if multiplies and not integer else math.nan
    drawn = fan_in > 0 and not (starts_at_zero(parameter.name) and not values.any())
    return {
        "parameter": parameter.name,
        "layer": parameter.path,
        "module": type(parameter.module).__name__,
        "shape": tuple(values.shape),
        "fan_in": fan_in,
        "fan_out": fan_out,
        "mean": wide.mean().item() if finite else math.nan,
        "std": _std(wide) if finite else math.nan,
        "nonfinite": broken / count if count else 0.0,
        "gain": parameter.use.gain if parameter.use is not None and multiplies else stored,
        "stored_gain": stored,
        "used_as": used_as,
        "looks_like": looks_like(parameter, values) if finite and real else "other",
        "fault": next(_faults(values, broken, drawn=drawn), ""),
    }


def _used_as(parameter: NamedParameter, *, whole: bool) -> str:
    """Return what a parameter is to its layer; ``whole``: it holds no integers."""
    if parameter.role != "weight":
        return "scale"
    if parameter.is_table:
        return "table"
    if parameter.use is not None:
        return parameter.use.kind
    known = is_known(parameter.module, parameter.attribute)
    by_torch = parameter.is_torchs or parameter.parametrized
    return "matrix" if known and by_torch and whole else "unknown"


def _std(values: Tensor) -> float:
    """Return the std: exactly 0 of equal values, however their mean is rounded."""
    return (values - values.flatten()[0]).std(correction=0).item()


def _faults(values: Tensor, broken: int, *, drawn: bool) -> Iterator[str]:
    """Yield the faults of a parameter, the worst first; ``drawn``: its values should differ."""
    if broken:
        yield f"non-finite: {broken} of {values.numel()} values"
        return
    size = values.abs()
    raw = (size > 0) & (size < UNTOUCHED_SMALL)
    if (size > UNTOUCHED_LARGE).any() or int(raw.sum()) > SMALL_SHARE * values.numel():
        yield "never initialized: the values look like unwritten memory"
    if drawn and values.numel() > 1 and (values == values.flatten()[0]).all():
        yield f"all equal: {values.flatten()[0].item() + 0.0:g}"  # -0 is 0


def _ratio(gradient: Tensor | None, parameter: Tensor) -> float:
    if gradient is None or not gradient.isfinite().all():
        return math.nan
    size = rms(parameter)
    return rms(gradient) / size if size else math.nan
