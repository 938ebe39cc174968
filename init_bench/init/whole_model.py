"""One initialiser over a whole network, each parameter from a stream of its own."""

from torch import nn

from init_bench.init.builtin import DEFAULT, reset_
from init_bench.init.menu import BIAS_FILLERS
from init_bench.init.spec import InitSpec, parse
from init_bench.randomness import stream


def initialize(model: nn.Module, spec: str | InitSpec, *, seed: int = 0) -> nn.Module:
    """Fill every parameter of ``model`` in place and return ``model``.

    Weights of two or more dimensions are filled by ``spec``, their biases with 0 unless they
    are part of the initialiser, as in ``critical_normal``. Modules without such a weight
    (normalisation layers) get what torch gives them. ``torch.default`` leaves everything to
    torch, biases included.

    Each weight draws from a stream of (seed, qualified name): its values depend on no other
    layer, on no device and not on torch's global stream, which does not move.

    Raises:
        InitBenchError: ``spec`` is malformed, unknown, or cannot fill a weight of the model.

    Example:
        >>> model = initialize(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), "constant(value=0.5)")
        >>> model[0].weight.unique().item(), model[0].bias.unique().item()
        (0.5, 0.0)
    """
    init = parse(spec) if isinstance(spec, str) else spec
    # Children first: torch's attention and transformer overwrite some of what their parts drew.
    for path, module in reversed(list(model.named_modules())):
        matrices = {n: p for n, p in module.named_parameters(path, recurse=False) if p.dim() > 1}
        if init.name == DEFAULT or not matrices:
            reset_(module, generator=stream(seed, f"{path}.weight".lstrip(".")))
            continue
        for name, parameter in module.named_parameters(path, recurse=False):
            if name in matrices or init.name in BIAS_FILLERS:
                init(parameter.data, generator=stream(seed, name))
            else:
                parameter.data.zero_()
    return model
