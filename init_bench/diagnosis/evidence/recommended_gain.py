"""Recommend a gain for each layer's weights: that of the nonlinearity that runs next."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from init_bench.activations.gains import gradient_gain, gradient_gain_of_function
from init_bench.activations.recognition import TABLES, is_nonlinearity
from init_bench.diagnosis.evidence.worst_matrix import modules_computed_with


def recommended_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
    """Return by layer the gain of the nonlinearity that runs next; 1 for the last layer.

    Args:
        modules: of the model, by name.
        order: the layers in order of execution.
    """
    recommended: dict[str, float] = {}
    waiting: list[str] = []
    for path in order:
        _, called, name = path.partition(":")
        if called:
            recommended |= dict.fromkeys(waiting, gradient_gain_of_function(name))
            waiting = []
            continue
        module = modules[path]
        inside = modules_computed_with(module)
        if is_nonlinearity(module):
            recommended |= dict.fromkeys(waiting, gradient_gain(module))
            waiting = []
            continue
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, TABLES):
            waiting = [path]
        elif inside:
            waiting = [f"{path}.{name}".lstrip(".") for name in inside]
    return recommended | dict.fromkeys(waiting, 1.0)
