"""Recognize which nonlinearity a module or a function is: the menu first, then torch's others."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from init_bench.activations.menu import ACTIVATIONS, Activation
from init_bench.activations.torch_others import FUNCTIONS_ALONE, TORCH_OTHERS

TABLES = (nn.Embedding, nn.EmbeddingBag)
"""Modules whose weight is looked up, multiplies nothing and wants no gain."""


NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)
"""Torch's classes that normalize."""


def is_dyt(module: nn.Module) -> bool:
    """Return whether ``module`` is a DyT, γ tanh(αx) + β, which stands where a norm would.

    It is told by its class's name, or by what it holds: a scalar α, scales and biases.

    Source:
        Zhu et al., Transformers without Normalization, 2025.

    Example:
        >>> class DyT(nn.Module):
        ...     def forward(self, x): ...
        >>> is_dyt(DyT()), is_dyt(nn.LayerNorm(3))
        (True, False)
    """
    if type(module).__name__ in ("DyT", "DynamicTanh"):
        return True
    held = module._parameters
    alpha = held.get("alpha")
    return set(held) == {"alpha", "weight", "bias"} and alpha is not None and alpha.numel() == 1


def name_of(module: nn.Module) -> str | None:
    """Return the name of the nonlinearity that ``module`` is, ``None`` if it is none.

    Example:
        >>> name_of(nn.SiLU()), name_of(nn.Linear(1, 1))
        ('silu', None)
    """
    entry = _entry(module)
    return entry[0] if entry else None


def bounds_of(module: nn.Module) -> tuple[float, float] | None:
    """Return the range of a bounded nonlinearity, ``None`` for any other module.

    Example:
        >>> bounds_of(nn.Tanh()), bounds_of(nn.Hardtanh(-2, 3)), bounds_of(nn.ReLU())
        ((-1.0, 1.0), (-2.0, 3.0), None)
    """
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return (float(module.min_val), float(module.max_val))
    entry = _entry(module)
    return entry[1].bounds if entry else None


def is_nonlinearity(module: nn.Module) -> bool:
    """Return whether ``module`` is an elementwise nonlinearity, of the menu or of torch."""
    entry = _entry(module)
    return entry is not None and entry[1].elementwise


def menu_name_of(module: nn.Module) -> str | None:
    """Return the name on the menu whose module is as ``module``, but for ``inplace``.

    Example:
        >>> menu_name_of(nn.LeakyReLU(inplace=True)), menu_name_of(nn.LeakyReLU(0.3))
        ('leaky_relu', None)
    """
    entry = _entry(module)
    on_the_menu = entry is not None and entry[0] in ACTIVATIONS
    return entry[0] if entry and on_the_menu and _is_alike(module, entry[1]) else None


def known_names() -> list[str]:
    """Return the names that a nonlinearity after a layer can have, sorted."""
    return sorted({*ACTIVATIONS, *TORCH_OTHERS, *FUNCTIONS_ALONE})


Entry = tuple[str, Activation]


class _Index:
    """Find the records of a class of modules, in the order of the menu."""

    def __init__(self) -> None:
        self.menu: list[Entry] = []
        self.by_class: dict[type[nn.Module], list[Entry]] = {}

    def find(self, kind: type[nn.Module]) -> list[Entry]:
        """Return the records of ``kind``; the index is built again once the menu has changed."""
        menu = list(ACTIVATIONS.items())
        if menu != self.menu:
            self.menu, self.by_class = menu, {}
            for entry in (*menu, *TORCH_OTHERS.items()):
                self.by_class.setdefault(_class_of(entry[1]), []).append(entry)
        return [] if kind in _NO_NONLINEARITY else self.by_class.get(kind, [])


_INDEX = _Index()


_NO_NONLINEARITY = (nn.Identity, nn.Sequential)
"""Classes a record may build its φ from, which say nothing about it."""


def _class_of(activation: Activation) -> type[nn.Module]:
    made = activation.module
    return made if isinstance(made, type) else type(made())


def _entry(module: nn.Module) -> Entry | None:
    """Return name and record of ``module``; of several of its class, the one with its arguments."""
    entries = _INDEX.find(type(module))
    if len(entries) > 1:
        entries = [entry for entry in entries if _is_alike(module, entry[1])] or entries
    return entries[0] if entries else None


def _is_alike(module: nn.Module, activation: Activation) -> bool:
    """Return whether ``activation`` builds a module as ``module``, but for ``inplace``."""
    described = repr(module).replace("inplace=True", "").replace(", )", ")")
    return repr(activation.module()) == described


def _functions() -> dict[object, str]:
    """Return the name of each function, of method and of ``torch.nn.functional`` alike."""
    found = {}
    for name, activation in {**ACTIVATIONS, **TORCH_OTHERS}.items():
        if not activation.elementwise:  # attention calls softmax
            continue
        for spelled in (name, f"{name}_"):
            functions = (getattr(place, spelled, None) for place in (torch, Tensor, F))
            found.update({function: name for function in functions if function is not None})
    return found


FUNCTIONS = _functions()
"""Name of each of torch's elementwise nonlinearities that code calls as a function."""


FUNCTION_NAMES = frozenset(known_names()) - {"identity"}
"""Names of torch's functions that are a nonlinearity where they follow a layer."""


def bounds_of_function(name: str) -> tuple[float, float] | None:
    """Return the range of a function of ``FUNCTIONS``; ``None`` for hardtanh: arguments set it."""
    record = ACTIVATIONS.get(name) or TORCH_OTHERS[name]
    return None if name == "hardtanh" else record.bounds
