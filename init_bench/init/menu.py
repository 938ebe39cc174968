"""The menu of initialisers: one place to read, ordered; it feeds specs, CLI, docs and tests."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from init_bench.init.batch_inits.krahenbuhl import krahenbuhl_
from init_bench.init.batch_inits.lsuv import lsuv_
from init_bench.init.docstrings import section
from init_bench.init.loss_inits.gradinit import gradinit_
from init_bench.init.loss_inits.metainit import metainit_
from init_bench.init.module_inits.fixup import fixup_
from init_bench.init.module_inits.gpt2 import gpt2_
from init_bench.init.module_inits.siren import siren_
from init_bench.init.module_inits.skipinit import skipinit_
from init_bench.init.module_inits.t_fixup import t_fixup_
from init_bench.init.module_inits.zero import zero_
from init_bench.init.module_inits.zero_gamma import zero_gamma_
from init_bench.init.registry import (
    BATCH_INITS,
    INITS,
    LOSS_INITS,
    MODULE_INITS,
    NO_WORDS,
    Init,
    all_inits,
    needs_of,
)
from init_bench.init.tensor_inits.constant import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from init_bench.init.tensor_inits.critical import critical_normal_
from init_bench.init.tensor_inits.identity import dirac_, identity_
from init_bench.init.tensor_inits.orthogonal import delta_orthogonal_, looks_linear_, orthogonal_
from init_bench.init.tensor_inits.sparse import sparse_
from init_bench.init.tensor_inits.torch_builtin import DEFAULT, TORCH_INITS, reset_
from init_bench.init.tensor_inits.variance_scaling import (
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)


def _drawing_nothing(fill: Callable[..., Tensor], **words: str) -> Init:
    """Give ``fill``, which has torch's signature and draws nothing, the face of an ``Init``.

    ``words`` are the names under which a spec string gives its arguments, where they differ.
    """

    @functools.wraps(fill)
    def init_(
        tensor: Tensor, *values: Any, generator: torch.Generator | None = None, **arguments: Any
    ) -> Tensor:
        return fill(tensor, *values, **{words.get(k, k): value for k, value in arguments.items()})

    spoken = {parameter: word for word, parameter in words.items()}
    own = inspect.signature(fill)
    parameters = [p.replace(name=spoken.get(p.name, p.name)) for p in own.parameters.values()]
    init_.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return init_


_TENSOR_INITS: dict[str, Init] = {
    "zeros": _drawing_nothing(zeros_),
    "ones": _drawing_nothing(ones_),
    "constant": _drawing_nothing(constant_, value="val"),
    "normal": normal_,
    "uniform": uniform_,
    "lecun_normal": lecun_normal_,  # N(0, 1/fan_in), the book's "Xavier"
    "lecun_uniform": lecun_uniform_,
    "xavier_normal": xavier_normal_,
    "xavier_uniform": xavier_uniform_,
    "he_normal": he_normal_,
    "he_uniform": he_uniform_,
    "variance_scaling": variance_scaling_,
    "trunc_normal": trunc_normal_,
    "orthogonal": orthogonal_,
    "delta_orthogonal": delta_orthogonal_,
    "looks_linear": looks_linear_,
    "identity": _drawing_nothing(identity_),
    "dirac": _drawing_nothing(dirac_),
    "sparse": sparse_,  # type: ignore[dict-item] # the spec must give its sparsity
    "critical_normal": critical_normal_,  # edge of chaos of a nonlinearity, biases included
    **TORCH_INITS,
}
INITS.update(_TENSOR_INITS)

_MODULE_INITS: dict[str, Callable[..., None]] = {
    "fixup": fixup_,
    "skipinit": skipinit_,
    "zero_gamma": zero_gamma_,
    "zero": zero_,
    "gpt2": gpt2_,
    "t_fixup": t_fixup_,
    "siren": siren_,
}
MODULE_INITS.update(_MODULE_INITS)

_BATCH_INITS: dict[str, Callable[..., None]] = {"lsuv": lsuv_, "krahenbuhl": krahenbuhl_}
BATCH_INITS.update(_BATCH_INITS)

_LOSS_INITS: dict[str, Callable[..., None]] = {"metainit": metainit_, "gradinit": gradinit_}
LOSS_INITS.update(_LOSS_INITS)


def signature_of(name: str) -> str:
    """Return how a spec calls the initialiser, its defaults as they are.

    Example:
        >>> signature_of("normal"), signature_of("constant"), signature_of("zeros")
        ('normal(mean=0.0, std=1.0)', 'constant(value)', 'zeros')
    """
    if name == DEFAULT:
        return name
    own = list(inspect.signature(all_inits()[name]).parameters.values())[1:]
    taken = [p for p in own if p.name not in NO_WORDS]
    words = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in taken]
    return f"{name}({', '.join(words)})" if words else name


def menu_rows() -> list[dict[str, str]]:
    """Return a row per initialiser: name, formula, needs, source, as its docstring states them.

    Example:
        >>> [row["formula"] for row in menu_rows() if row["name"] == "zeros"]
        ['W_ij = 0.']
    """
    return [_row(name) for name in (*all_inits(), DEFAULT)]


def _row(name: str) -> dict[str, str]:
    if name == DEFAULT:
        formula, source = "as the module's reset_parameters", section(reset_, "Source")
    elif name in TORCH_INITS:
        formula, source = f"as torch.nn.init.{name.removeprefix('torch.')}_", "torch.nn.init"
    else:
        init = all_inits()[name]
        formula, source = _formula(init), section(init, "Source") or "own"
    return {"name": name, "formula": formula, "source": source, "needs": needs_of(name)}


def _formula(init: object) -> str:
    """Return the formula, or the first line, of the docstring."""
    first, *_ = (inspect.getdoc(init) or "not stated").splitlines()
    return section(init, "Formula") or first
