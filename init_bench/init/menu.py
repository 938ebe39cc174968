"""The menu of initialisers: one place to read, ordered; it feeds specs, CLI, docs and tests."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from init_bench.docstrings import section
from init_bench.errors import InitBenchError, lookup
from init_bench.init.builtin import DEFAULT, TORCH_INITS, reset_
from init_bench.init.constants import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from init_bench.init.critical import critical_normal_
from init_bench.init.fixup import fixup_
from init_bench.init.gpt2 import gpt2_
from init_bench.init.gradinit import gradinit_
from init_bench.init.identities import dirac_, identity_
from init_bench.init.krahenbuhl import krahenbuhl_
from init_bench.init.lsuv import lsuv_
from init_bench.init.metainit import metainit_
from init_bench.init.orthogonality import delta_orthogonal_, looks_linear_, orthogonal_
from init_bench.init.siren import siren_
from init_bench.init.skipinit import skipinit_
from init_bench.init.sparsity import sparse_
from init_bench.init.t_fixup import t_fixup_
from init_bench.init.variance_scaling import (
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)
from init_bench.init.zero import zero_
from init_bench.init.zero_gamma import zero_gamma_

if TYPE_CHECKING:
    from init_bench.init.network import Network


class Init(Protocol):
    """Fills a weight in place, draws only from ``generator``, returns the same tensor."""

    def __call__(self, tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor: ...


class NetworkInit(Protocol):
    """Fills a network through ``network``, which draws, keeps the record and every override."""

    def __call__(self, network: "Network") -> None: ...


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


INITS: dict[str, Init] = {
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

MODULE_INITS: dict[str, NetworkInit] = {
    "fixup": fixup_,
    "skipinit": skipinit_,
    "zero_gamma": zero_gamma_,
    "zero": zero_,
    "gpt2": gpt2_,
    "t_fixup": t_fixup_,
    "siren": siren_,
}

BATCH_INITS: dict[str, NetworkInit] = {"lsuv": lsuv_, "krahenbuhl": krahenbuhl_}

LOSS_INITS: dict[str, NetworkInit] = {"metainit": metainit_, "gradinit": gradinit_}

KINDS: dict[str, dict[str, Any]] = {
    "tensor": INITS,
    "module": MODULE_INITS,
    "batch": BATCH_INITS,
    "loss": LOSS_INITS,
}
"""The four kinds of initialiser by what they must see."""

NO_WORDS = ("generator", "fans")
"""Parameters that a spec string cannot give."""

NONLINEARITY_TAKERS = {"critical_normal"}
"""Names made for the nonlinearity behind a layer: the traced one, unless the spec gives one."""

ALIASES = {
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
    "eye": "identity",
}

BIAS_FILLERS = {"critical_normal"}
"""Names whose biases are part of the initialiser: it fills a tensor of one dimension too."""


def register_init(name: str, init: Callable[..., Any], *, needs: str | None = None) -> None:
    """Add ``init`` to the menu under ``name``; a taken name is refused, never replaced.

    Args:
        name: how specs call it.
        init: an ``Init`` if ``needs`` is ``tensor``, else a ``NetworkInit``.
        needs: what it must see: ``tensor``, ``module``, ``batch`` or ``loss``. ``None`` is what
            its attribute ``needs`` says, ``tensor`` where it has none.

    Raises:
        InitBenchError: ``name`` is taken, or is no name a spec string can hold, ``init`` is not
            called as an initialiser of its kind is, or ``needs`` is no kind.

    Example:
        >>> def half_he_(tensor, *, generator=None):
        ...     '''Fill from N(0, 1/(2 fan_in)).'''
        ...     return he_normal_(tensor, generator=generator).mul_(0.5)
        >>> register_init("half_he", half_he_)
        >>> INITS.pop("half_he") is half_he_
        True
    """
    needs = getattr(init, "needs", "tensor") if needs is None else needs
    menu = lookup(KINDS, needs, kind="kind of init")
    if not name.isidentifier():
        raise InitBenchError(f"init name {name!r} must be a Python name, such as 'my_normal'")
    if name in all_inits() or name in ALIASES:
        raise InitBenchError(f"init {name!r} is taken by {_holder(name)}; choose another name")
    _check_call(name, init, needs)
    menu[name] = init


def _holder(name: str) -> str:
    """Return who has a taken name."""
    if name in ALIASES:
        return f"{ALIASES[name]!r}, which it is another name of"
    module = str(getattr(all_inits()[name], "__module__", "an unknown module"))
    own = module.partition(".")[0] in ("init_bench", "torch")
    return "init_bench" if own else f"what {module} brought, by register_init or as a plug-in"


def all_inits() -> dict[str, Callable[..., Any]]:
    """Return the initialisers of all kinds by name."""
    return {name: init for menu in KINDS.values() for name, init in menu.items()}


def needs_of(name: str) -> str:
    """Return what the initialiser called ``name`` must see.

    Example:
        >>> needs_of("he_normal"), needs_of("lsuv"), needs_of("torch.default")
        ('tensor', 'batch', 'module')
    """
    return next((kind for kind, menu in KINDS.items() if name in menu), "module")


def _check_call(name: str, init: Callable[..., Any], needs: str) -> None:
    """Refuse what cannot be called as an initialiser of its kind is."""
    keywords = {"generator": None} if needs == "tensor" else {}
    form = "(tensor, *, generator=None)" if needs == "tensor" else "(network)"
    try:
        inspect.signature(init).bind_partial(None, **keywords)
    except (TypeError, ValueError) as cause:
        raise InitBenchError(
            f"init {name!r} must be a function init{form} that fills what it is given in place, "
            f"got {init!r}"
        ) from cause


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
