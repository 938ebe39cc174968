"""Follow the advice of a diagnosis by script: change the weights, or how the network is trained."""

import math
import re
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.diagnosis.result import Diagnosis
from init_bench.hooks.random_streams import stream

BY_HAND = "(by hand)"
"""How the table names advice that no script can follow."""

WARM_UP = "warm the learning rate up"
"""Advice that changes the training, not the weights."""

Change = Callable[[nn.Module, str, dict[str, float], torch.Generator], None]
"""Changes a model at a layer, given the recommended std of each weight."""


def follow(model: nn.Module, found: Diagnosis, seed: int) -> str:
    """Change the weights as the advice says; return what was done, ``BY_HAND`` for nothing."""
    known = found.weights.dropna(subset=["recommended_std"])
    stds = {str(name): float(std) for name, std in known[["parameter", "recommended_std"]].values}
    draws, done = stream(seed, "advice"), []
    for row in origins(found).to_dict("records"):
        pattern = change_of(row["advice"])
        if pattern != BY_HAND:
            CHANGES[pattern](model, row["layer"], stds, draws)
            done.append(pattern)
    return "; ".join(dict.fromkeys(done)) or BY_HAND


def origins(found: Diagnosis) -> pd.DataFrame:
    """Return the bad findings, or those to watch, that follow from no other."""
    verdicts = found.verdicts
    return verdicts[verdicts["severity"].isin(["bad", "watch"]) & (verdicts["cause"] == "")]


def change_of(advice: str) -> str:
    """Return which of ``CHANGES`` an advice asks for, ``BY_HAND`` for none."""
    return next((pattern for pattern in CHANGES if re.search(pattern, advice)), BY_HAND)


def _draw(weight: Tensor, std: float, draws: torch.Generator) -> None:
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=draws) * std)


def _draw_all(model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator) -> None:
    """Draw every weight with the recommended std, and set the biases to 0."""
    parameters = dict(model.named_parameters())
    for name, std in stds.items():
        _draw(parameters[name], std, draws)
    _zero_biases(model, layer, stds, draws)


def _draw_layer(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    """Draw the layer's matrices with the recommended std, without one with 1/√fan_in.

    Its other values are made finite.
    """
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[0] != layer:
            continue
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            _draw(parameter, stds.get(name, 1 / math.sqrt(fan_in)), draws)
        with torch.no_grad():
            parameter.nan_to_num_(0.0)


def _zero_biases(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    """Set the biases of all layers to 0, those of normalizations too."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[2] == "bias":
                parameter.zero_()


def _open_norm(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    with torch.no_grad():
        weight = model.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        weight.fill_(1.0)


def _draw_queries(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    """Draw what makes queries and keys with the recommended std."""
    parameters = dict(model.named_parameters())
    for name, std in stds.items():
        if name.startswith(layer) and "qkv" in name:
            _draw(parameters[name], std, draws)


def _shrink(model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator) -> None:
    """Draw the layer's weight with std 1/√fan_in."""
    weight = model.get_submodule(layer).weight
    assert isinstance(weight, Tensor)
    _draw(weight, 1 / math.sqrt(weight[0].numel()), draws)


def _nothing(model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator) -> None:
    """Leave the weights as they are: this advice changes the training."""


CHANGES: dict[str, Change] = {
    r"fill it with 1": _open_norm,
    r"draw these weights|initialize this parameter again|too small for their": _draw_layer,
    r"std = gain/√fan_in, or a smaller rate": _draw_layer,
    r"bias 0, or a leaky": _zero_biases,
    r"make the last layer smaller": _shrink,
    r"smaller query and key weights": _draw_queries,
    WARM_UP: _nothing,
    r"draw (all|the) weights|all weights with|smaller weights|weights of every layer": _draw_all,
    r"check the bias and the scale|keeps them level": _draw_all,
}
"""What the advice asks for, by what it says; the first that fits counts."""
