"""Measure how far an update moves each parameter: ‖ΔW‖ / ‖W‖."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from init_bench.hooks.module_names import own_parameters
from init_bench.statistics.layer_statistics import rms


def parameter_copies(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of each parameter that is trained, by its name."""
    return {
        name: value.detach().clone()
        for name, value in own_parameters(model).items()
        if value.requires_grad
    }


def update_ratios(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """Return ‖W − W_before‖ / ‖W_before‖ of each parameter that was copied.

    It is 0 where nothing moved, inf where a parameter of zeros did, and nan where one holds values
    that are not finite.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.ones_(layer.weight)
        >>> before = parameter_copies(layer)
        >>> _ = layer.weight.data.mul_(1.5)
        >>> update_ratios(before, layer)
        {'weight': 0.5}
    """
    now = own_parameters(model)
    return {name: _ratio(old, now[name].detach()) for name, old in before.items()}


def _ratio(old: Tensor, new: Tensor) -> float:
    if torch.equal(old, new):
        return 0.0
    if not new.isfinite().all() or not old.isfinite().all():
        return math.nan
    size = rms(old)
    return rms(new - old) / size if size else math.inf
