"""The gain that a layer's weights want: that of the nonlinearity that runs behind it."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from init_bench.activations.gains import _functional_gain, gain_of
from init_bench.activations.recognition import TABLES, is_nonlinearity


def wanted_gains(modules: Mapping[str, nn.Module], order: Sequence[str]) -> dict[str, float]:
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
        if isinstance(weight, Tensor) and weight.dim() > 1 and not isinstance(module, TABLES):
            waiting = [path]
    return wanted | dict.fromkeys(waiting, 1.0)
