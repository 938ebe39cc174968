"""What initialisers there are, by what each must see: filled by ``init.menu`` and by plug-ins."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, lookup


class Init(Protocol):
    """Fills a weight in place, draws only from ``generator``, returns the same tensor."""

    def __call__(self, tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor: ...


INITS: dict[str, Init] = {}


MODULE_INITS: dict[str, Callable[..., None]] = {}


BATCH_INITS: dict[str, Callable[..., None]] = {}


LOSS_INITS: dict[str, Callable[..., None]] = {}


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
        >>> from init_bench.init import he_normal_
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
