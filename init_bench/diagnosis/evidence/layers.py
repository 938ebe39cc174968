"""A row per layer call: output, input, gradient and weight side by side, as verdicts read them."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import nn

from init_bench.activations.recognition import is_nonlinearity
from init_bench.diagnosis.evidence.matrices import worst_matrices
from init_bench.hooks.isolation import still
from init_bench.hooks.module_names import own_modules

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
"""Columns of a profile, see ``examining.Evidence``."""


def profile_of(
    model: nn.Module, layers: pd.DataFrame, arrivals: pd.DataFrame, weights: pd.DataFrame
) -> pd.DataFrame:
    """Join outputs, gradients, weights and inputs into a row per call of a module, or of a
    nonlinearity called as a function."""
    outputs = layers[layers["kind"].isin(["pre_activation", "activation"])].copy()
    modules = own_modules(model)
    ran = {layer: modules[layer] for layer in outputs["layer"] if layer in modules}
    outputs = _with_gradients(outputs, layers)
    with still(model), torch.no_grad():
        outputs = _with_weights(outputs, layers, weights, worst_matrices(ran))
    outputs = _with_modules(_with_arrivals(outputs, arrivals), ran)
    return _hidden(outputs, ran).reindex(columns=list(PROFILE)).reset_index(drop=True)


def _with_gradients(outputs: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Add RMS and share of values that are not finite of each output's gradient."""
    gradients = layers[layers["kind"] == "gradient"].drop_duplicates("index").set_index("index")
    rms = (gradients["mean"] ** 2 + gradients["std"] ** 2) ** 0.5
    return outputs.assign(
        gradient=outputs["index"].map(rms),
        gradient_nonfinite=outputs["index"].map(gradients["nonfinite"]),
    )


def _with_weights(
    outputs: pd.DataFrame, layers: pd.DataFrame, weights: pd.DataFrame, stacked: pd.DataFrame
) -> pd.DataFrame:
    """Add gain, units and distinct units of each layer's matrix, or of the worst of several."""
    matrices = layers[layers["kind"] == "weight"].drop_duplicates("index").set_index("index")
    multiply = weights.dropna(subset=["gain"]).groupby("layer").first()
    found = {
        "weight_gain": outputs["layer"].map(multiply["gain"]),
        "units": outputs["layer"].map(multiply["shape"].str[0]),
        "distinct": outputs["index"].map(matrices["distinct"]),
    }
    for name, values in found.items():
        found[name] = outputs["layer"].map(stacked[name]).fillna(values)
    return outputs.assign(**found)


def _with_arrivals(outputs: pd.DataFrame, arrivals: pd.DataFrame) -> pd.DataFrame:
    """Match the n-th input of a layer with its n-th output."""
    if arrivals.empty:
        return outputs.assign(samples=float("nan"))
    arrivals = arrivals.assign(turn=arrivals.groupby("layer").cumcount())
    outputs = outputs.assign(turn=outputs.groupby("layer").cumcount())
    return outputs.merge(arrivals, on=["layer", "turn"], how="left").drop(columns="turn")


def _with_modules(outputs: pd.DataFrame, ran: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Add what each layer is, and its place: of a function the module that calls it, where that is
    a layer itself, else the one that ran before."""
    layers, of_module = outputs["layer"], outputs["layer"].isin(ran)
    callers = [layer.rpartition(":")[0] for layer in layers]
    kinds = {layer: type(module).__name__ for layer, module in ran.items()}
    nonlinear = {layer for layer, module in ran.items() if is_nonlinearity(module)}
    caller = pd.Series(callers, layers.index, object).where(~of_module)
    in_front = layers.where(of_module).ffill().fillna(layers)
    return outputs.assign(
        module=[kinds.get(layer, layer.rpartition(":")[2]) for layer in layers],
        caller=caller.where(caller.isin(ran)),
        place=caller.where(caller.isin(ran), in_front),
        nonlinear=layers.isin(nonlinear) | ~of_module,
    )


def _hidden(outputs: pd.DataFrame, ran: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Leave out what is computed of no sample, and functions that are no hidden nonlinearity.

    A layer of a single row sees a table, as of the positions in Swin v2, and a function may be
    taken of a parameter. What is called behind the last layer with weights is output or loss. What
    a module without parameters calls makes that module a nonlinearity.
    """
    function = ~outputs["layer"].isin(ran)
    samples, weighted = outputs["samples"], outputs["weight_gain"].notna()
    of_batch = (samples > 0) & (samples % samples[~function].min() == 0)
    behind = (outputs["index"] > outputs["index"][weighted].max()) & weighted.any()
    bare = [layer for layer, module in ran.items() if next(module.parameters(), None) is None]
    inside = outputs["caller"].isin(bare)
    written_out = outputs["layer"].isin(outputs["caller"][inside]) & ~behind
    nonlinear = outputs["nonlinear"] | written_out
    hidden: pd.DataFrame = outputs.assign(nonlinear=nonlinear)[
        (samples != 1) & (~function | (of_batch & ~behind & ~inside))
    ]
    return hidden
