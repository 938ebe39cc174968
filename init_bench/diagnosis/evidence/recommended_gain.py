"""Recommend a gain for each layer's weights: that of the nonlinearity that runs next."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from init_bench.activations.gains import gradient_gain, gradient_gain_of_function
from init_bench.activations.recognition import (
    TABLES,
    bounds_of,
    bounds_of_function,
    is_nonlinearity,
)
from init_bench.diagnosis.evidence.worst_matrix import modules_computed_with


def recommended_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
    """Return by layer the gain of the nonlinearity that runs next; 1 for the last layer.

    A bounded one behind the last layer, such as the sigmoid of an output in [0, 1], hands its
    signal to no layer: it asks for no larger weights.

    Args:
        modules: of the model, by name.
        order: the layers in order of execution.
    """
    recommended: dict[str, float] = {}
    waiting: list[str] = []  # for a nonlinearity
    at_the_end: list[str] = []  # met a bounded one, and no layer since
    for path in order:
        _, called, name = path.partition(":")
        if called:
            gain, bounds = gradient_gain_of_function(name), bounds_of_function(name)
        elif is_nonlinearity(module := modules[path]):
            gain, bounds = gradient_gain(module), bounds_of(module)
        else:
            waiting = _with_weights(path, module) or waiting
            continue
        if waiting:
            recommended |= dict.fromkeys(waiting, gain)
            at_the_end, waiting = waiting if bounds else [], []
    return recommended | dict.fromkeys(waiting or at_the_end, 1.0)


def _with_weights(path: str, module: nn.Module) -> list[str]:
    """Return the layers with weights that a call of ``module`` computes: itself or inside it."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, TABLES):
        return [path]
    return [f"{path}.{name}".lstrip(".") for name in modules_computed_with(module)]
