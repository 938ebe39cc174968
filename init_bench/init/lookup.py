"""Look initializers up by name, and register those of plug-ins.

This file lists none: a new initializer of ours gets its record in ``init/menu.py``.
"""

import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol, TypedDict, Unpack

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, lookup
from init_bench.init.std_formulas import Formula


class Init(Protocol):
    """Fill a weight in place, draw only from ``generator``, return the same tensor."""

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
"""The four kinds of initializer by what they must see."""


NOT_IN_SPECS = ("generator", "fans")
"""Parameters that a spec string cannot give."""


DISTRIBUTIONS = ("normal", "uniform", "truncated_normal")
"""What a record may call the distribution of independent entries."""


TRAITS = ("attention", "relu", "sine", "no normalization")
"""What a network may have that an initializer is meant for."""


class InitFields(TypedDict, total=False):
    """Name what a record may state beside the name and the function."""

    needs: str | None
    nominal_std: Formula | None
    distribution: str | None
    recognized_as: tuple[str, ...] | None
    fills_biases: bool
    takes_nonlinearity: bool
    aliases: tuple[str, ...]
    meant_for: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class InitRecord:
    """Hold all that the package knows of one initializer.

    Attributes:
        name: how specs call it.
        init: an ``Init`` if ``needs`` is ``tensor``, else a ``NetworkInit``.
        needs: what it must see: ``tensor``, ``module``, ``batch`` or ``loss``.
        nominal_std: the std that its entries aim at, from its arguments and the weight's size.
            ``initialize`` reports it.
        distribution: of its entries, if these are independent draws: ``normal``, ``uniform`` or
            ``truncated_normal``; needs ``nominal_std``. ``compare`` tests its draws against the
            two. Arguments called ``mean``, or ``a`` and ``b``, move or cut the distribution; one
            called ``distribution`` replaces it.
        recognized_as: specs by which ``diagnose`` recognizes its draws. ``None`` is ``name`` if it
            states a distribution whose std depends on the fans and every argument has a default.
        fills_biases: its biases are part of it: it fills a tensor of one dimension too.
        takes_nonlinearity: it has an argument ``nonlinearity``, which is the traced one after the
            layer unless the spec gives one.
        aliases: other names of it.
        resets_modules: it is each module's own ``reset_parameters``. So it fills a single layer
            too: as an override, or where ``compare`` draws weights.
        meant_for: what a network must have for it, of ``TRAITS``: ``bench`` tries it on no other.
            What the initializer itself refuses needs no trait.
    """

    name: str
    init: Callable[..., Any]
    _: KW_ONLY
    needs: str = "tensor"
    nominal_std: Formula | None = None
    distribution: str | None = None
    recognized_as: tuple[str, ...] | None = None
    fills_biases: bool = False
    takes_nonlinearity: bool = False
    aliases: tuple[str, ...] = ()
    resets_modules: bool = False
    meant_for: tuple[str, ...] = ()


RECORDS: dict[str, InitRecord] = {}
"""The record of each registered initializer; one counts while its function is on the menu."""


ALIASES: dict[str, str] = {}
"""Other names of initializers, and the name each stands for."""


def register_init(name: str, init: Callable[..., Any], **fields: Unpack[InitFields]) -> None:
    """Add ``init`` to the menu under ``name``; a taken name is refused, never replaced.

    Args:
        name: how specs call it.
        init: a function ``init(tensor, *, generator=None)``, or ``init(network)`` if it needs
            more than a tensor.
        fields: what ``InitRecord`` lists: ``needs``, ``nominal_std``, ``distribution``,
            ``recognized_as``, ``fills_biases``, ``takes_nonlinearity``, ``aliases``,
            ``meant_for``. Those not given are read from attributes of ``init`` with these names.

    Raises:
        InitBenchError: ``name`` or an alias is taken, or is no name a spec string can hold,
            ``init`` is not called as an initializer of its kind is, ``needs`` is no kind, or
            ``distribution`` is unknown or lacks a ``nominal_std``.

    Example:
        >>> from init_bench.init import he_normal_
        >>> def half_he_(tensor, *, generator=None):
        ...     '''Fill from N(0, 1/(2 fan_in)).'''
        ...     return he_normal_(tensor, generator=generator).mul_(0.5)
        >>> register_init(
        ...     "half_he",
        ...     half_he_,
        ...     nominal_std=lambda arguments, size: (2 * size.fan_in) ** -0.5,
        ...     distribution="normal",
        ... )
        >>> INITS.pop("half_he") is half_he_
        True
    """
    own = {key: getattr(init, key) for key in InitFields.__annotations__ if hasattr(init, key)}
    given = {key: value for key, value in {**own, **fields}.items() if value is not None}
    record = InitRecord(name, init, **given)
    lookup(KINDS, record.needs, kind="kind of init")
    for taken in (name, *record.aliases):
        _check_name(taken)
    _check_call(name, init, record.needs)
    _check_distribution(record)
    for trait in record.meant_for:
        lookup(dict.fromkeys(TRAITS), trait, kind="trait of a network")
    add_record(record)


def add_record(record: InitRecord) -> None:
    """Put an initializer on the menu, unchecked."""
    RECORDS[record.name] = record
    KINDS[record.needs][record.name] = record.init
    ALIASES.update(dict.fromkeys(record.aliases, record.name))


def record_of(name: str) -> InitRecord:
    """Return the record of the initializer called ``name``.

    Example:
        >>> record_of("he_normal").distribution
        'normal'
    """
    needs = needs_of(name)
    init, record = KINDS[needs][name], RECORDS.get(name)
    if record is not None and record.init is init:
        return record
    return InitRecord(name, init, needs=needs)  # put into the dictionary directly


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise InitBenchError(f"init name {name!r} must be a Python name, such as 'my_normal'")
    if name in all_inits() or ALIASES.get(name) in all_inits():
        raise InitBenchError(f"init {name!r} is taken by {_holder(name)}; choose another name")


def _check_distribution(record: InitRecord) -> None:
    if record.distribution is None:
        return
    lookup(dict.fromkeys(DISTRIBUTIONS), record.distribution, kind="distribution")
    if record.nominal_std is None:
        raise InitBenchError(
            f"init {record.name!r} states the distribution {record.distribution!r} without a "
            f"standard deviation; give nominal_std=, a function of its arguments and the size of "
            f"the weight"
        )


def _holder(name: str) -> str:
    """Return who has a taken name."""
    if name not in all_inits():
        return f"{ALIASES[name]!r}, which it is another name of"
    module = str(getattr(all_inits()[name], "__module__", "an unknown module"))
    own = module.partition(".")[0] in ("init_bench", "torch")
    return "init_bench" if own else f"what {module} brought, by register_init or as a plug-in"


def all_inits() -> dict[str, Callable[..., Any]]:
    """Return the initializers of all kinds by name.

    Example:
        >>> import init_bench.init
        >>> sorted(name for name in all_inits() if name.startswith("lecun"))
        ['lecun_normal', 'lecun_uniform']
    """
    return {name: init for menu in KINDS.values() for name, init in menu.items()}


def needs_of(name: str) -> str:
    """Return what the initializer called ``name`` must see.

    Raises:
        InitBenchError: there is none of that name.

    Example:
        >>> needs_of("he_normal"), needs_of("lsuv"), needs_of("torch.default")
        ('tensor', 'batch', 'module')
    """
    for needs, menu in KINDS.items():
        if name in menu:
            return needs
    lookup(all_inits(), name, kind="init", aliases=ALIASES)
    raise AssertionError("lookup refuses a name that is on no menu")


def _check_call(name: str, init: Callable[..., Any], needs: str) -> None:
    """Refuse what cannot be called as an initializer of its kind is."""
    keywords = {"generator": None} if needs == "tensor" else {}
    form = "(tensor, *, generator=None)" if needs == "tensor" else "(network)"
    try:
        inspect.signature(init).bind_partial(None, **keywords)
    except (TypeError, ValueError) as cause:
        raise InitBenchError(
            f"init {name!r} must be a function init{form} that fills what it is given in place, "
            f"got {init!r}"
        ) from cause
