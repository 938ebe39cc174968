"""Recognise which nonlinearity a module or a function is."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from init_bench.activations.menu import ACTIVATIONS


def bounds_of(module: nn.Module) -> tuple[float, float] | None:
    """Return the range of a bounded nonlinearity, ``None`` for any other module.

    ReLU6 has none here: it rests at 0 as ReLU does, which is no saturation.

    Example:
        >>> bounds_of(nn.Tanh()), bounds_of(nn.ReLU())
        ((-1.0, 1.0), None)
    """
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return (float(module.min_val), float(module.max_val))
    return _BOUNDS.get(type(module))


_BOUNDS: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}


_UNBOUNDED = (
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu"),
    *("mish", "softplus", "hardswish", "logsigmoid", "softshrink", "threshold"),
)


BOUNDS: dict[str, tuple[float, float] | None] = {
    **dict.fromkeys(_UNBOUNDED),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hardtanh": None,
}
"""Functional nonlinearities, and the range of those whose range no argument sets."""


def _names() -> dict[object, str]:
    """Return the name of each function, of method and of ``torch.nn.functional`` alike."""
    places = (torch, Tensor, F)
    found = {}
    for name in BOUNDS:
        for spelled in (name, f"{name}_"):
            functions = (getattr(place, spelled, None) for place in places)
            found.update({function: name for function in functions if function is not None})
    return found


_NAMES = _names()


_MODULES = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.RReLU: "rrelu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.CELU: "celu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Softplus: "softplus",
    nn.Softsign: "softsign",
    nn.Tanh: "tanh",
    nn.Hardtanh: "hardtanh",
    nn.Sigmoid: "sigmoid",
    nn.LogSigmoid: "logsigmoid",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.Tanhshrink: "tanhshrink",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
    nn.GLU: "glu",
}


NONLINEARITIES = frozenset(_MODULES.values()) | {"sin", "cos"}
"""Names as torch spells the functions."""


def name_of(module: nn.Module) -> str | None:
    """Return the name of the nonlinearity that ``module`` is, ``None`` if it is none.

    Example:
        >>> name_of(nn.SiLU()), name_of(nn.Linear(1, 1))
        ('silu', None)
    """
    return _MODULES.get(type(module))


def _on_the_menu(module: nn.Module) -> str | None:
    """Return the menu's name of a nonlinearity, its arguments included, but for ``inplace``."""
    described = repr(module).replace("inplace=True", "").replace(", )", ")")
    made = ((name, phi.module()) for name, phi in ACTIVATIONS.items())
    return next((n for n, m in made if type(m) is type(module) and repr(m) == described), None)


TABLES = (nn.Embedding, nn.EmbeddingBag)
"""Modules whose weight is looked up, multiplies nothing and wants no gain."""


_NOT_ELEMENTWISE = ("MultiheadAttention", "Softmax", "Softmax2d", "LogSoftmax", "GLU", "Softmin")


def is_nonlinearity(module: nn.Module) -> bool:
    """Return whether ``module`` is one of torch's elementwise nonlinearities."""
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" and (
        kind.__name__ not in _NOT_ELEMENTWISE
    )
