"""The gain that a layer's weights want: that of the nonlinearity that runs behind it."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from init_bench.activations.gains import gradient_gain, gradient_gain_of_function
from init_bench.activations.recognition import TABLES, is_nonlinearity


def wanted_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
    """Return by layer the gain that the nonlinearity behind it asks for."""
    wanted: dict[str, float] = {}
    waiting: list[str] = []
    for path in order:
        _, called, name = path.partition(":")
        if called:
            wanted |= dict.fromkeys(waiting, gradient_gain_of_function(name))
            waiting = []
            continue
        module = modules[path]
        if is_nonlinearity(module):
            wanted |= dict.fromkeys(waiting, gradient_gain(module))
            waiting = []
            continue
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, TABLES):
            waiting = [path]
    return wanted | dict.fromkeys(waiting, 1.0)
