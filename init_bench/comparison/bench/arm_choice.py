"""Decide which initializers a task is trained from: those of the menu that are meant for it."""

import inspect
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from init_bench import datasets
from init_bench.comparison.bench.tasks import Task
from init_bench.errors import InitBenchError
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init import all_inits, parse
from init_bench.init.lookup import record_of
from init_bench.init.std_formulas import NominalStd, Size
from init_bench.models import Sine
from init_bench.training.cell import Cell
from init_bench.training.networks import NEED_DATA, check, loss_of, network_of, seen_by_init

AS_BUILT, DEFAULT = "as_built", "torch.default"


QUICK_ARMS = (
    *(AS_BUILT, DEFAULT, "xavier_normal", "he_normal"),
    *("looks_linear", "fixup", "gpt2", "siren"),
)
"""Arms of a quick benchmark: the usual ones, and those meant for ReLU MLPs, residual
networks without normalization, attention and sines."""


_NORMALIZATIONS = (
    *(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    nn.LocalResponseNorm,
)


def menu_arms() -> list[str]:
    """Return the initializers of the menu that state a rule for a network of any sizes.

    Left out are torch's functions for rules that are here already, those that need an argument,
    those with one scale whatever the sizes (``normal``, ``zeros`` …), and those that minimize a
    loss: each of their starts takes as long as a training. ``inits`` names them to have them.

    Example:
        >>> {"he_normal", "lsuv"} <= set(menu_arms()), "normal" in menu_arms()
        (True, False)
    """
    names = [n for n in all_inits() if n == DEFAULT or not n.startswith("torch.")]
    return [n for n in names if n != AS_BUILT and record_of(n).needs != "loss" and _is_a_rule(n)]


def _is_a_rule(name: str) -> bool:
    """Return whether an initializer needs no argument and follows the sizes of a weight."""
    record, given = record_of(name), _defaults(name)
    if inspect.Parameter.empty in given.values():
        return False
    if record.needs != "tensor" or record.nominal_std is None or record.takes_nonlinearity:
        return True
    sizes = [Size(fan_in=n, fan_out=n, rows=n, columns=n) for n in (64, 256)]
    stds = [record.nominal_std(given, size) for size in sizes]
    return len({s.std if isinstance(s, NominalStd) else s for s in stds}) > 1


def _defaults(name: str) -> dict[str, object]:
    """Return the arguments that a spec may give, with their defaults."""
    own = list(inspect.signature(all_inits()[name]).parameters.values())[1:]
    left = ("generator", "fans")
    named = [p for p in own if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default for p in named if p.name not in left}


def arms_of(task: Task, inits: Sequence[str] | None, *, quick: bool = False) -> list[str]:
    """Return the arms of a task: what ``inits`` or the menu has that fits its network.

    A ``quick`` benchmark offers ``QUICK_ARMS`` in place of the menu.

    An initializer fits if the network has the traits that its record asks for and if it fills the
    network of seed 0; one that needs data is taken to do so. ``as_built`` fits where the
    architecture has a default of its own.

    Raises:
        InitBenchError: fewer than two fit, or the network itself does not.
    """
    cell = task.grid(DEFAULT, task.first_rates[0]).cells[0]
    data = datasets.load(cell.dataset)
    built = replace(cell, init=AS_BUILT)
    check(built, data)
    check_first_loss(task, built)
    traits = traits_of(network_of(built, data))
    usual = QUICK_ARMS if quick else (AS_BUILT, *menu_arms())
    offered = usual if inits is None else inits
    names = list(dict.fromkeys(str(parse(name)) for name in offered))
    cells = [replace(cell, init=name) for name in names if name != AS_BUILT or task.own_default]
    meant = [c for c in cells if set(record_of(c.init_spec.name).meant_for) <= traits]
    fitting = [c.init for c in meant if _starts(c)]
    if len(fitting) < 2:
        raise InitBenchError(
            f"task {task.name!r}: {len(fitting)} of the initializers {', '.join(names)} fit its "
            f"network, and a comparison needs two; name others"
        )
    return fitting


def check_first_loss(task: Task, cell: Cell) -> None:
    """Refuse a network whose loss is no number before any training.

    Raises:
        InitBenchError: it is not finite on the first samples of seed 0.
    """
    data = datasets.load(cell.dataset)
    inputs, targets = seen_by_init(cell, data)
    with torch.no_grad(), drawing_from(stream(cell.seed, "check")):
        loss = float(loss_of(network_of(cell, data)(inputs), targets))
    if not math.isfinite(loss):
        raise InitBenchError(
            f"task {task.name!r}: the loss of model {cell.model!r} is {loss} at step 0, as its "
            f"factory builds it; no learning rate can mend that. Diagnose it: "
            f"init_bench.diagnose(model, inputs, targets)"
        )


def traits_of(network: nn.Module) -> set[str]:
    """Return what a network has that an initializer may be meant for.

    Example:
        >>> sorted(traits_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU())))
        ['no normalization', 'relu']
    """
    modules = list(network.modules())
    has = {
        "attention": any(isinstance(m, nn.MultiheadAttention) for m in modules),
        "relu": any(isinstance(m, nn.ReLU) for m in modules),
        "sine": any(isinstance(m, Sine) for m in modules),
        "no normalization": not any(isinstance(m, _NORMALIZATIONS) for m in modules),
    }
    return {trait for trait, found in has.items() if found}


def _starts(cell: Cell) -> bool:
    """Return whether the cell's initializer fills its network."""
    if cell.init_spec.needs in NEED_DATA:
        return True
    try:
        network_of(cell, datasets.load(cell.dataset))
    except InitBenchError:
        return False
    return True
