"""Tabulate layer calls for verdict rules: input, output, gradient and weight side by side."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from init_bench.activations.recognition import is_nonlinearity
from init_bench.diagnosis.evidence.worst_matrix import distance_from_1, worst_matrices
from init_bench.hooks.isolation import frozen_parametrizations
from init_bench.hooks.layer_call import LayerCall, UsedWeight
from init_bench.hooks.model_view import ModelView
from init_bench.hooks.module_names import is_torchs

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
    "stored_gain",
    "normalizes",
    "is_output",
)
"""Columns of a profile, see ``collection.Evidence``."""


INPUT = ("input_std", "input_sample_std", "input_dead", "input_nonfinite")
"""Columns that are nan where no floating-point tensor goes in, as into an embedding."""


def profile_of(view: ModelView, calls: Sequence[LayerCall], weights: pd.DataFrame) -> pd.DataFrame:
    """Return a row per hidden layer call.

    Args:
        view: of the model.
        calls: in order of execution.
        weights: the table of the parameters.
    """
    rows = pd.DataFrame([_row(call) for call in calls])
    modules = {call.layer: view.modules[call.layer] for call in calls if call.layer in view.modules}
    with frozen_parametrizations(view.model), torch.no_grad():
        rows = _with_weights(rows, weights, worst_matrices(modules), modules)
    rows = _hidden(_with_modules(_with_outputs(rows), modules), modules)
    return rows.reindex(columns=list(PROFILE)).reset_index(drop=True)


def heads_of(profile: pd.DataFrame) -> list[str]:
    """Return the layers with weights that make the output, in order of execution; at least one."""
    weighted = profile[profile["weight_gain"].notna()]
    last = weighted["index"] == weighted["index"].max()
    return list(dict.fromkeys(weighted.loc[weighted["is_output"] | last, "layer"]))


def head_of_loss(profile: pd.DataFrame) -> str:
    """Return which of these layers has the largest gradient; empty where there is none."""
    heads = heads_of(profile)[::-1]  # of equal ones the last
    gradients = profile[profile["layer"].isin(heads)].groupby("layer")["gradient"].max()
    return max(heads, key=gradients.fillna(0.0).__getitem__, default="")


def _row(call: LayerCall) -> dict[str, object]:
    """Return one call as a row: the gradient is that of its first backward pass."""
    gradient = call.gradients[0] if call.gradients else {"mean": math.nan, "std": math.nan}
    return {
        "layer": call.layer,
        "index": call.index,
        "kind": call.kind,
        "samples": call.samples,
        "outputs": call.outputs,
        "returned": call.returned,
        **call.output,
        "distinct": call.weight["distinct"] if call.weight else math.nan,
        "normalizes": call.normalizes,
        "used": call.used,
        "factors": (call.factor_before, call.factor_after),
        **dict.fromkeys(INPUT, math.nan),
        **{f"input_{name}": value for name, value in call.input.items()},
        "gradient": math.sqrt(
            gradient["mean"] * gradient["mean"] + gradient["std"] * gradient["std"]
        ),
        "gradient_nonfinite": gradient.get("nonfinite", math.nan),
    }


def _with_weights(
    rows: pd.DataFrame,
    weights: pd.DataFrame,
    worst: pd.DataFrame,
    modules: Mapping[str, nn.Module],
) -> pd.DataFrame:
    """Add gain, units and distinct units of each layer's matrix, or of the worst of several.

    They are those of the stored weights in layers of torch's. In a user's own layer they are those
    of the weights as it used them, and what its output says, its RMS over that of the input,
    counts if that is nearer to 1: its scale, or a way around the weight, is part of what it does.
    Where its products were not seen, the output alone says it.
    """
    matrices = weights.dropna(subset=["gain"]).groupby("layer").first()
    columns = {
        "weight_gain": rows["layer"].map(matrices["gain"]),
        "units": rows["layer"].map(matrices["shape"].str[0]),
        "distinct": rows["distinct"],
    }
    for name, values in columns.items():
        columns[name] = rows["layer"].map(worst[name]).fillna(values)
    stored = rows["layer"].map(matrices["stored_gain"]).fillna(columns["weight_gain"])
    rows = rows.assign(**columns, stored_gain=stored)
    seen = [_as_used(row, modules.get(row["layer"]), weights) for row in rows.to_dict("records")]
    return rows.assign(**pd.DataFrame(seen, index=rows.index))


def _as_used(
    row: Mapping[Any, Any], module: nn.Module | None, weights: pd.DataFrame
) -> dict[str, float]:
    """Return gain, units and distinct units of one call, by how it used its weights."""
    own = {name: row[name] for name in ("weight_gain", "units", "distinct")}
    # A parametrized layer counts as torch's: its weight is computed, what it does with it is known.
    torchs = module is not None and is_torchs(module)
    used: list[UsedWeight] = [] if torchs else row["used"]
    if used:
        worst = max((weight.gain for weight in used), key=distance_from_1)
        gain = min(worst, _ratio(row), key=distance_from_1)
        learned = [weight for weight in used if not math.isnan(weight.distinct)] or used
        drawn = [weight for weight in learned if weight.gain > 0] or learned  # zeros: one factor
        fewest = min(drawn, key=lambda weight: weight.distinct / max(weight.units, 1))
        own = {"weight_gain": gain, "units": fewest.units, "distinct": fewest.distinct}
    elif module is not None and not torchs and _product_unseen(row["layer"], weights):
        own |= {"weight_gain": _ratio(row), "distinct": math.nan}
    return own | {"weight_gain": _nearest_to_1(own["weight_gain"], *row["factors"])}


def _ratio(row: Mapping[Any, Any]) -> float:
    """Return the RMS of a call's output over that of its input, nan where there is none."""
    before = row.get("input_rms", math.nan)
    return math.hypot(row["mean"], row["std"]) / before if before > 0 else math.nan


def _product_unseen(layer: str, weights: pd.DataFrame) -> bool:
    """Return whether a user's layer holds a matrix of which nothing shows how it is used."""
    inside = weights[(weights["layer"] == layer) & (weights["used_as"] == "unknown")]
    return len(inside) > 0


def _nearest_to_1(gain: float, before: float, after: float) -> float:
    """Return the gain, with the constants around the layer where these bring it nearer to 1.

    A weight that is small because its output is multiplied by a constant does no harm.
    """
    readings = (gain, gain * before, gain * after, gain * before * after)
    return min(readings, key=distance_from_1)


def _with_outputs(rows: pd.DataFrame) -> pd.DataFrame:
    """Add which rows are outputs: those after the last weights, and what the model returns.

    What a layer with weights takes is none, though the model may return it too.
    """
    ends = (_after_last_weight(rows) | rows["returned"]).tolist()
    weighted = rows["weight_gain"].notna().tolist()
    arrived = zip(rows["input_std"], rows["input_sample_std"], strict=True)
    left = list(zip(rows["std"], rows["sample_std"], strict=True))
    calls_on: defaultdict[tuple[float, float], list[int]] = defaultdict(list)
    for i, signal in reversed(list(enumerate(arrived))):
        if takers := calls_on[left[i]]:
            ends[i] = all(ends[k] and not weighted[k] for k in takers)
        calls_on[signal].append(i)
    return rows.assign(is_output=ends)


def _with_modules(rows: pd.DataFrame, modules: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Add the class of each layer, whether it is a nonlinearity, its caller and its place.

    The place of a function is the module that calls it, where that is a layer itself, else the
    layer before it.
    """
    layers, is_module = rows["layer"], rows["layer"].isin(modules)
    callers = [layer.rpartition(":")[0] for layer in layers]
    classes = {layer: type(module).__name__ for layer, module in modules.items()}
    nonlinear = {layer for layer, module in modules.items() if is_nonlinearity(module)}
    caller = pd.Series(callers, layers.index, object).where(~is_module)
    layer_before = layers.where(is_module).ffill().fillna(layers)
    return rows.assign(
        module=[classes.get(layer, layer.rpartition(":")[2]) for layer in layers],
        caller=caller.where(caller.isin(modules)),
        place=caller.where(caller.isin(modules), layer_before),
        nonlinear=layers.isin(nonlinear) | ~is_module,
    )


def _hidden(rows: pd.DataFrame, modules: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Leave out calls on no sample, and functions that are no hidden nonlinearity.

    A module without parameters that calls a nonlinearity is one itself.
    """
    is_function = ~rows["layer"].isin(modules)
    after_last_weight = _after_last_weight(rows)
    called_by_parameterless = _called_by_parameterless(rows, modules)
    hidden_function = _has_batch_dim(rows, ~is_function) & ~after_last_weight
    # A layer of a single row sees a table, as that of the relative positions in Swin v2.
    several_samples = rows["samples"] != 1
    keep = several_samples & (~is_function | (hidden_function & ~called_by_parameterless))
    callers = rows["caller"][called_by_parameterless]
    is_caller = rows["layer"].isin(callers) & ~after_last_weight
    hidden: pd.DataFrame = rows.assign(nonlinear=rows["nonlinear"] | is_caller)[keep]
    return hidden


def _has_batch_dim(rows: pd.DataFrame, is_module: pd.Series) -> pd.Series:
    """Return which outputs hold a multiple of the batch: a function of a parameter does not."""
    samples, batch = rows["samples"], rows["samples"][is_module].min()
    multiple: pd.Series = (samples > 0) & (samples % batch == 0)
    return multiple


def _after_last_weight(rows: pd.DataFrame) -> pd.Series:
    """Return which calls come after the last layer with weights: they are output or loss."""
    weighted = rows["weight_gain"].notna()
    after: pd.Series = (rows["index"] > rows["index"][weighted].max()) & weighted.any()
    return after


def _called_by_parameterless(rows: pd.DataFrame, modules: Mapping[str, nn.Module]) -> pd.Series:
    """Return which functions are called by a module without parameters."""
    parameterless = [
        layer for layer, module in modules.items() if next(module.parameters(), None) is None
    ]
    return rows["caller"].isin(parameterless)
