"""List the parameters of a network: where each lives, what it is for, how it is drawn."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from init_bench.errors import InitBenchError, nearest

Role = Literal["weight", "bias", "reset", "left"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedParameter:
    """Locate one parameter of a network, read, write and draw it.

    Attributes:
        name: qualified name, of a tied parameter the first; it keys the parameter's stream.
        path: qualified name of ``module``.
        module: the module that holds it.
        attribute: its name there.
        role: ``weight`` is the initialiser's, ``bias`` is 0, ``reset`` is torch's
            ``reset_parameters``, ``left`` stays unchanged.
        parametrised: ``module.attribute`` is computed from other parameters.
    """

    name: str
    path: str
    module: nn.Module
    attribute: str
    role: Role
    parametrised: bool = False

    @property
    def values(self) -> Tensor:
        """The values, without history; the parameter's own memory unless ``parametrised``."""
        with torch.no_grad():
            value: Tensor = getattr(self.module, self.attribute)
            return value.detach()

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter itself; of a parametrised one what the module computes."""
        value: nn.Parameter = getattr(self.module, self.attribute)
        return value

    def write(self, values: Tensor) -> None:
        """Give the parameter ``values``, through its parametrisation if it has one."""
        with torch.no_grad():
            if self.parametrised:
                setattr(self.module, self.attribute, values.to(self.values))
            else:
                self.values.copy_(values)

    def draw(self, fill: Callable[..., Tensor], generator: torch.Generator) -> None:
        """Fill every block of the parameter, on the CPU: the same values on any device."""
        values = self.values
        in_place = values.is_cpu and not self.parametrised
        drawn = values if in_place else torch.empty_like(values, device="cpu")
        for block in self.blocks(drawn):
            if block.is_contiguous():
                fill(block, generator=generator)
            else:  # torch's orthogonal_ takes no other
                block.copy_(fill(torch.empty(block.shape, dtype=block.dtype), generator=generator))
        if not in_place:
            self.write(drawn)

    def blocks(self, values: Tensor) -> list[Tensor]:
        """Return views of ``values`` that are matrices (n_out, n_in, *kernel) of their own.

        Gates of a recurrent layer, packed query, key and value, and groups of a convolution each
        map their own inputs to their own outputs; a transposed convolution stores n_in first.
        """
        module = self.module
        if values.dim() < 2 or self.role != "weight":
            return [values]
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            gates = 1 if "weight_hr" in self.attribute else gates_of(module)
            return list(values.chunk(gates))
        if isinstance(module, nn.MultiheadAttention) and self.attribute == "in_proj_weight":
            return list(values.chunk(3))
        if isinstance(module, nn.modules.conv._ConvNd):
            groups = values.chunk(module.groups) if module.groups > 1 else [values]
            return [part.transpose(0, 1) for part in groups] if module.transposed else list(groups)
        if isinstance(module, nn.Bilinear):
            return [values.flatten(1)]
        return [values]


def named_parameters(model: nn.Module) -> list[NamedParameter]:
    """Return the parameters of ``model``, each once, in the order of ``named_parameters``.

    Raises:
        InitBenchError: a parameter is lazy, on the meta device or distributed.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        >>> [(p.name, p.role) for p in named_parameters(model)]
        [('0.weight', 'weight'), ('0.bias', 'bias'), ('1.weight', 'reset'), ('1.bias', 'reset')]
    """
    seen: set[int] = set()
    return [
        parameter
        for path, module in model.named_modules()
        if "parametrizations" not in path.split(".")
        for parameter in _own_parameters(path, module, seen)
    ]


def _own_parameters(path: str, module: nn.Module, seen: set[int]) -> Iterator[NamedParameter]:
    own = {name: value for name, value in module._parameters.items() if value is not None}
    for name, parameter in own.items():
        _check(f"{path}.{name}".lstrip("."), parameter)
    if {"weight_g", "weight_v"} <= set(own):
        raise InitBenchError(
            f"module {path!r} uses torch.nn.utils.weight_norm, which torch has deprecated: use "
            f"torch.nn.utils.parametrizations.weight_norm"
        )
    computed = _computed(module)
    shapes: dict[str, Tensor] = {**own, **computed}
    weights = {name for name, value in shapes.items() if is_weight(module, name, value)}
    for name, value in shapes.items():
        if name in own and id(value) in seen:
            continue
        seen.add(id(own.get(name)))
        yield NamedParameter(
            name=f"{path}.{name}".lstrip("."),
            path=path,
            module=module,
            attribute=name,
            role="weight" if name in weights else _role(module, name, bool(weights)),
            parametrised=name in computed,
        )


def _computed(module: nn.Module) -> dict[str, Tensor]:
    """Return what ``torch.nn.utils.parametrize`` computes for ``module``."""
    if not parametrize.is_parametrized(module):
        return {}
    with torch.no_grad():
        return {name: getattr(module, name) for name in module.parametrizations}  # type: ignore[union-attr]


def is_weight(module: nn.Module, name: str, value: Tensor) -> bool:
    """Tell matrices from biases, tables of biases and single tokens.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> is_weight(layer, "weight", layer.weight), is_weight(layer, "bias", layer.bias)
        (True, False)
    """
    if value.dim() < 2 or "bias" in name:
        return False
    is_matrix = value.shape[0] > 1 and (value.dim() == 2 or value[0].numel() > 1)
    return is_matrix or _is_torchs(module)


def _role(module: nn.Module, name: str, beside_a_weight: bool) -> Role:
    if beside_a_weight:
        is_bias = "bias" in name and (_is_torchs(module) or getattr(module, name).dim() == 1)
        return "bias" if is_bias else "left"
    return "reset" if can_reset(module) else "left"


def _is_torchs(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("torch.nn.modules") for kind in type(module).__mro__[:-2])


def can_reset(module: nn.Module) -> bool:
    """Return whether ``module`` says itself how its own parameters start."""
    return hasattr(module, "reset_parameters") or hasattr(module, "_reset_parameters")


def gates_of(module: nn.RNNBase | nn.RNNCellBase) -> int:
    """Return how many gates a recurrent layer stacks: 4 of an LSTM, 3 of a GRU, else 1."""
    return {"LSTM": 4, "GRU": 3}.get(getattr(module, "mode", type(module).__name__[:-4]), 1)


def _check(name: str, value: Tensor) -> None:
    """Refuse parameters that hold no values yet, or only a part of them."""
    if is_lazy(value):
        raise InitBenchError(
            f"parameter {name!r} is lazy and has no shape yet: run one batch through the model, "
            f"model(batch), then initialise"
        )
    if value.is_meta:
        raise InitBenchError(
            f"parameter {name!r} is on the meta device and has no values: give it memory with "
            f"model.to_empty(device=...), then initialise"
        )
    if type(value.data).__name__ == "DTensor":
        raise InitBenchError(
            f"parameter {name!r} is distributed: initialise the model on every rank before you "
            f"distribute it; the same seed gives every rank the same values"
        )


def first_names(model: nn.Module) -> dict[str, str]:
    """Return the name under which each parameter is filled, by every name that it has.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> first_names(nn.ModuleDict({"a": layer, "b": layer}))
        {'a.weight': 'a.weight', 'b.weight': 'a.weight'}
    """
    first: dict[int, str] = {}
    own = {parameter.name: parameter.name for parameter in named_parameters(model)}
    names = model.named_parameters(remove_duplicate=False)
    tied = {name: first.setdefault(id(value), name) for name, value in names}
    return own | {name: owner for name, owner in tied.items() if owner in own}


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the qualified names that the ``fnmatch`` pattern matches.

    Raises:
        InitBenchError: none does.

    Example:
        >>> matching("head.*", ["body.weight", "head.weight", "head.bias"])
        ['head.weight', 'head.bias']
    """
    names = list(names)
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        near = nearest(pattern.strip("*."), names)
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise InitBenchError(
            f"pattern {pattern!r} matches no parameter and no module{near} There are: {shown}"
        )
    return found
