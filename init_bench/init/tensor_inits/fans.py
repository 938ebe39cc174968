"""Count fan in and fan out: of a tensor by its shape, of a module's weight by its use."""

import math

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from init_bench.activations.recognition import NORMS, TABLES
from init_bench.errors import InitBenchError
from init_bench.hooks.trial_run import uses_by_trial

_KNOWN = (
    *(nn.Linear, nn.Bilinear, _ConvNd, *TABLES, *NORMS),
    *(nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase),
)
"""Classes that say what their weights are."""


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)``: inputs and outputs of one unit, kernel positions counted.

    A shape alone does not show groups, transposition, packing or a lookup table: for those ask
    ``module_fans``.

    Shapes:
        tensor: ``(n_out, n_in, *kernel)``.

    Raises:
        InitBenchError: ``tensor`` has fewer than two dimensions.

    Example:
        >>> import torch
        >>> fans(torch.empty(20, 10)), fans(torch.empty(16, 8, 3, 3))
        ((10, 20), (72, 144))
    """
    if tensor.dim() < 2:
        raise InitBenchError(
            f"fan_in and fan_out need a weight of 2 or more dimensions (n_out, n_in, *kernel), "
            f"got shape {tuple(tensor.shape)}; for a bias or a scale use zeros_ or constant_"
        )
    n_out, n_in, *kernel = tensor.shape
    positions = math.prod(kernel)
    return n_in * positions, n_out * positions


def module_fans(module: nn.Module, name: str) -> tuple[int, int]:
    """Return the true ``(fan_in, fan_out)`` of ``module``'s parameter ``name``.

    fan_in counts the terms that one output sums, fan_out the outputs that one input reaches:

    - a convolution of g groups: n_in/g · k and n_out/g · k, with k positions of the kernel;
    - a transposed convolution, whose weight is stored ``(n_in, n_out/g, *kernel)``: the same;
    - an embedding: 1 and its dimension, since a lookup is a product with a one-hot vector;
    - attention's packed ``in_proj_weight``: those of one of its three matrices;
    - a recurrent layer's ``weight_ih`` and ``weight_hh``: those of one gate;
    - a bilinear layer: n_in1 · n_in2 and n_out;
    - a parameter of your own module: those of the product in which its forward function uses it;
      where none is seen, those of its shape;
    - a bias: those of the weight beside it (``bias_hh_l0`` of ``weight_hh_l0`` …).

    Stride and dilation are not counted, as is the convention.

    Raises:
        InitBenchError: ``module`` has no parameter ``name``, or it has no fans (a
            normalization's scale).

    Source:
        He et al., Delving Deep into Rectifiers, 2015, sec. 2.2, count connections so; what
        ``torch.nn.init`` counts instead: pytorch#23854.

    Example:
        >>> module_fans(nn.ConvTranspose2d(8, 16, 3), "weight")
        (72, 144)
        >>> module_fans(nn.Conv2d(32, 32, 3, groups=32), "weight")
        (9, 9)
        >>> module_fans(nn.MultiheadAttention(64, 8), "in_proj_weight")
        (64, 64)
    """
    weight = _weight_of(module, name)
    if not isinstance(module, _KNOWN):
        use = uses_by_trial(module).get(name)
        if use is not None and use.kind == "matrix":
            return use.fan_in, use.fan_out
    if isinstance(module, TABLES):
        return 1, weight.shape[1]
    if isinstance(module, nn.Bilinear):
        return weight.shape[1] * weight.shape[2], weight.shape[0]
    fan_in, fan_out = fans(weight)
    if isinstance(module, _ConvNd) and module.transposed:
        fan_in, fan_out = fan_out, fan_in
        return fan_in // module.groups, fan_out
    return fan_in, fan_out // _blocks(module, name, weight)


def _weight_of(module: nn.Module, name: str) -> Tensor:
    """Return the weight that ``name`` is, or, if ``name`` is a bias, the weight it goes with."""
    found = getattr(module, name.replace("bias", "weight"), getattr(module, name, None))
    if not isinstance(found, Tensor):
        known = ", ".join(key for key, _ in module.named_parameters(recurse=False)) or "none"
        raise InitBenchError(
            f"{type(module).__name__} has no parameter {name!r}; its own are: {known}"
        )
    return found


def _blocks(module: nn.Module, name: str, weight: Tensor) -> int:
    """Return how many matrices of their own are stacked along the rows of ``weight``."""
    if isinstance(module, _ConvNd):
        return module.groups
    if isinstance(module, nn.MultiheadAttention) and name.startswith("in_proj_"):
        return 3
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return max(1, weight.shape[0] // module.hidden_size)
    return 1
