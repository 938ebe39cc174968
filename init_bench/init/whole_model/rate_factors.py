"""Give parameters rates of their own: factors, and the groups that ``torch.optim`` takes."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from init_bench.errors import check_finite, lookup


@dataclass(frozen=True, kw_only=True, slots=True)
class Factors:
    """Multiply learning rate, weight decay and ε of one parameter."""

    lr: float = 1.0
    weight_decay: float = 1.0
    eps: float = 1.0


PLAIN = Factors()
"""The factors of a parameter that learns at the optimizer's own rate."""


FactorsByKind = Mapping[str, Factors]
"""Factors by kind of optimizer, one of ``KINDS``' values. Without ``muon`` the parameter is not
Muon's but learns by AdamW beside it."""


KINDS = {
    "sgd": "sgd",
    "momentum": "sgd",
    "asgd": "sgd",
    "adam": "adam",
    "nadam": "adam",
    "radam": "adam",
    "adamax": "adam",
    "adagrad": "adam",
    "rmsprop": "adam",
    "rprop": "adam",
    "sparseadam": "adam",
    "adamw": "adamw",
    "muon": "muon",
}
"""The kind of an optimizer: how the size of its step follows that of the gradient. ``sgd``: in
proportion. ``adam``: not at all, entry by entry. ``adamw``: so too, and weight decay is not part of
the gradient. ``muon``: not at all, as a matrix."""


OptimizerName = str | type[torch.optim.Optimizer] | torch.optim.Optimizer
"""An optimizer by its name, its class, or itself."""


def factors_for(optimizer: OptimizerName, factors: FactorsByKind) -> Factors:
    """Return the factors of one parameter under an optimizer.

    Raises:
        InitBenchError: there are factors, and none are known for this optimizer.

    Example:
        >>> factors_for("momentum", {"sgd": Factors(lr=4.0)}).lr, factors_for("lbfgs", {}).lr
        (4.0, 1.0)
    """
    if not factors:
        return PLAIN
    kind = lookup(KINDS, name_of_optimizer(optimizer), kind="optimizer")
    return factors.get(kind, factors.get("adamw", PLAIN))


def name_of_optimizer(optimizer: OptimizerName) -> str:
    """Return the name of an optimizer in small letters."""
    if isinstance(optimizer, str):
        return optimizer.lower()
    return (optimizer if isinstance(optimizer, type) else type(optimizer)).__name__.lower()


def groups_of(
    parameters: Mapping[str, nn.Parameter],
    factors: Mapping[str, Factors],
    *,
    lr: float,
    weight_decay: float,
    eps: float | None,
    muon: frozenset[str] | None = None,
) -> list[dict[str, Any]]:
    """Return one group for all parameters of the same factors, in order of their first.

    With ``muon``, the parameters that Muon moves, every group says whether it is Muon's.
    """
    lr = check_finite(lr, "lr", minimum=0)
    weight_decay = check_finite(weight_decay, "weight_decay", minimum=0)
    found: dict[tuple[Factors, bool], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        key = (factors.get(name, PLAIN), name in (muon or ()))
        found.setdefault(key, []).append(parameter)
    return [
        {
            "params": members,
            "lr": lr * one.lr,
            "weight_decay": weight_decay * one.weight_decay,
            **({} if eps is None else {"eps": eps * one.eps}),
            **({} if muon is None else {"use_muon": is_muons}),
        }
        for (one, is_muons), members in found.items()
    ]


def default_eps(optimizer: OptimizerName) -> float | None:
    """Return the ε that torch's optimizer divides by unless told; ``None`` if it has none.

    Example:
        >>> default_eps("adamw"), default_eps("sgd")
        (1e-08, None)
    """
    name = name_of_optimizer(optimizer)
    if name == "muon":
        name = "adamw"  # which steps what Muon does not
    if KINDS.get(name) not in ("adam", "adamw"):
        return None
    classes = {each.lower(): each for each in torch.optim.__all__}
    found = inspect.signature(getattr(torch.optim, classes[name])).parameters.get("eps")
    return None if found is None else float(found.default)


def scale_groups(
    update: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    factors: Mapping[str, Factors],
) -> None:
    """Split the groups of an optimizer by the factors of their parameters, and apply these."""
    by_id = {id(value): factors.get(name, PLAIN) for name, value in parameters.items()}
    update.param_groups[:] = [
        part for group in update.param_groups for part in _split(group, by_id)
    ]


def _split(group: dict[str, Any], by_id: Mapping[int, Factors]) -> Iterable[dict[str, Any]]:
    found: dict[Factors, list[nn.Parameter]] = {}
    for parameter in group["params"]:
        found.setdefault(by_id.get(id(parameter), PLAIN), []).append(parameter)
    for one, members in found.items():
        scales = {"lr": one.lr, "initial_lr": one.lr, "weight_decay": one.weight_decay}
        scales["eps"] = one.eps
        scaled = {key: group[key] * by for key, by in scales.items() if key in group}
        yield {**group, **scaled, "params": members}
