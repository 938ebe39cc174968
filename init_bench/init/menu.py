"""The menu of initialisers: one place to read, ordered; it feeds specs, CLI, docs and tests."""

from typing import Protocol

import torch
from torch import Tensor

from init_bench.docstrings import section
from init_bench.errors import InitBenchError
from init_bench.init.builtin import DEFAULT, TORCH_INITS, reset_
from init_bench.init.constant import constant_, normal_, ones_, uniform_, zeros_
from init_bench.init.critical import critical_normal_
from init_bench.init.variance_scaling import (
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)


class Init(Protocol):
    """Fills a weight in place, draws only from ``generator``, returns the same tensor."""

    def __call__(self, tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor: ...


INITS: dict[str, Init] = {
    "zeros": zeros_,
    "ones": ones_,
    "constant": constant_,  # type: ignore[dict-item] # the spec must give its value
    "normal": normal_,
    "uniform": uniform_,
    "lecun_normal": lecun_normal_,  # N(0, 1/fan_in), the book's "Xavier"
    "lecun_uniform": lecun_uniform_,
    "xavier_normal": xavier_normal_,
    "xavier_uniform": xavier_uniform_,
    "he_normal": he_normal_,
    "he_uniform": he_uniform_,
    "variance_scaling": variance_scaling_,
    "critical_normal": critical_normal_,  # edge of chaos of a nonlinearity, biases included
    **TORCH_INITS,
}

ALIASES = {
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
}

BIAS_FILLERS = {"critical_normal"}
"""Names whose biases are part of the initialiser: it fills a tensor of one dimension too."""


def register_init(name: str, init: Init) -> None:
    """Add ``init`` to the menu under ``name``; a taken name is refused, never replaced.

    Raises:
        InitBenchError: ``name`` is taken, or is no name a spec string can hold.

    Example:
        >>> def half_he_(tensor, *, generator=None):
        ...     '''Fill from N(0, 1/(2 fan_in)).'''
        ...     return he_normal_(tensor, generator=generator).mul_(0.5)
        >>> register_init("half_he", half_he_)
        >>> INITS.pop("half_he") is half_he_
        True
    """
    if not name.isidentifier():
        raise InitBenchError(f"init name {name!r} must be a Python name, such as 'my_normal'")
    if name in INITS or name in ALIASES:
        raise InitBenchError(f"init {name!r} is taken; choose another name")
    INITS[name] = init


def menu_rows() -> list[dict[str, str]]:
    """Return a row per initialiser: name, formula, needs, source, as its docstring states them.

    Example:
        >>> [row["formula"] for row in menu_rows() if row["name"] == "zeros"]
        ['W_ij = 0.']
    """
    ours = [
        {"name": name, "formula": section(init, "Formula"), "source": section(init, "Source")}
        for name, init in INITS.items()
        if name not in TORCH_INITS
    ]
    torchs = [
        {
            "name": name,
            "formula": f"as torch.nn.init.{name.removeprefix('torch.')}_",
            "source": "torch.nn.init",
        }
        for name in TORCH_INITS
    ]
    default = {
        "name": DEFAULT,
        "formula": "as the module's reset_parameters",
        "source": section(reset_, "Source"),
    }
    rows = [*ours, *torchs, default]
    return [{**row, "needs": "module" if row is default else "tensor"} for row in rows]
