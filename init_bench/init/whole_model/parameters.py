"""List the parameters of a network: where each lives, what it is for, how it is drawn."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from init_bench.activations.recognition import TABLES
from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import is_torchs
from init_bench.hooks.weight_uses import WeightUse
from init_bench.init.tensor_inits.fans import fans, module_fans
from init_bench.init.whole_model.parameter_roles import (
    Role,
    UsesInModel,
    can_reset,
    gates_of,
    is_bias,
    is_known,
    is_weight,
    reason_to_keep,
)

Fans = tuple[int, int]
"""fan_in and fan_out."""


NARROW = (torch.bfloat16, torch.float16)
"""Types in which torch draws uniform numbers on a coarse grid."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedParameter:
    """Locate one parameter of a network, read, write and draw it.

    Attributes:
        name: qualified name, of a tied parameter the first; it keys the parameter's stream.
        path: qualified name of ``module``.
        module: the module that holds it.
        attribute: its name there.
        role: ``weight`` is the initializer's, ``bias`` is 0, ``reset`` is torch's
            ``reset_parameters``, ``left`` stays unchanged.
        parametrized: ``module.attribute`` is computed from other parameters.
        use: how a user's own module uses it; ``None`` where that is not known, or the module's
            class says it.
        factor: the constant by which a user's own module multiplies the weight when it uses it.
        given: the fans that the caller stated.
        of_head: of a table that an output layer multiplies by too, the fans that it has there.
        why: why it stays as it is, where that needs words.
    """

    name: str
    path: str
    module: nn.Module
    attribute: str
    role: Role
    parametrized: bool = False
    use: WeightUse | None = None
    factor: float = 1.0
    given: Fans | None = None
    of_head: Fans | None = None
    why: str = ""

    @property
    def fans(self) -> Fans | None:
        """fan_in and fan_out as given or as it is used; ``None`` of no weight, or if unknown."""
        if self.given is not None or self.role != "weight":
            return self.given
        if self.of_head is not None:
            return self.of_head
        if is_known(self.module, self.attribute):
            return module_fans(self.module, self.attribute)
        return None if self.use is None else (self.use.fan_in, self.use.fan_out)

    @property
    def drawn_fans(self) -> Fans:
        """The fans that an initializer counts in what it is given to fill."""
        if self.use is not None and self.use.axes is not None:
            return self.use.fan_in, self.use.fan_out
        if is_known(self.module, self.attribute) and not self.is_table:
            return module_fans(self.module, self.attribute)
        return fans(self.values)

    @property
    def is_torchs(self) -> bool:
        """Whether its module is one of torch's own classes."""
        return is_torchs(self.module)

    @property
    def is_table(self) -> bool:
        """Whether torch looks up its rows."""
        return isinstance(self.module, TABLES)

    @property
    def values(self) -> Tensor:
        """The values, without history; the parameter's own memory unless ``parametrized``."""
        with torch.no_grad():
            value: Tensor = getattr(self.module, self.attribute)
            return value.detach()

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter itself; of a parametrized one what the module computes."""
        value: nn.Parameter = getattr(self.module, self.attribute)
        return value

    def write(self, values: Tensor) -> None:
        """Give the parameter ``values``, through its parametrization if it has one."""
        with torch.no_grad():
            if self.parametrized:
                setattr(self.module, self.attribute, values.to(self.values))
            else:
                self.values.copy_(values)

    def draw(self, fill: Callable[..., Tensor], generator: torch.Generator) -> None:
        """Fill every block of the parameter, on the CPU: the same values on any device.

        Of a type narrower than float32 they are float32's, rounded.
        """
        values = self.values
        dtype = torch.float32 if values.dtype in NARROW else values.dtype
        at_hand = values.is_cpu and values.dtype is dtype
        in_place = (at_hand or values.is_meta) and not self.parametrized
        drawn = values if in_place else torch.empty_like(values, dtype=dtype, device="cpu")
        self.fill_blocks(drawn, lambda block: fill(block, generator=generator))
        if not in_place:
            self.write(drawn)

    def fill_blocks(self, values: Tensor, fill: Callable[[Tensor], Tensor]) -> None:
        """Let ``fill`` write every block of ``values``, each (n_out, n_in, *kernel)."""
        for view, shape in self._views(values):
            if view.is_contiguous():
                fill(view.view(shape))
            else:  # torch's orthogonal_ takes no other
                view.copy_(
                    fill(torch.empty(shape, dtype=view.dtype, device=view.device)).view(view.shape)
                )

    def blocks(self, values: Tensor) -> list[Tensor]:
        """Return the parts of ``values`` that are matrices (n_out, n_in, *kernel) of their own.

        Gates of a recurrent layer, packed query, key and value, and groups of a convolution each
        map their own inputs to their own outputs; a transposed convolution stores n_in first.
        Of a user's own module they are as it uses them.
        """
        return [view.reshape(shape) for view, shape in self._views(values)]

    def _views(self, values: Tensor) -> list[tuple[Tensor, torch.Size]]:
        """Return views of ``values``, one for each block, and the shape that the block has."""
        if self.use is not None and self.use.axes is not None and self.role == "weight":
            return list(_views_by_axes(values, self.use))
        return [(view, view.shape) for view in self._torchs_blocks(values)]

    def _torchs_blocks(self, values: Tensor) -> list[Tensor]:
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


def _views_by_axes(values: Tensor, use: WeightUse) -> Iterator[tuple[Tensor, torch.Size]]:
    """Yield a view (*outputs, *inputs, *kernel) for each matrix of a stack, and its shape."""
    axes = use.axes or ()
    order = [[i for i, axis in enumerate(axes) if axis == kind] for kind in ("stack", "out", "in")]
    kernel = [i for i, axis in enumerate(axes) if axis == "kernel"]
    n_out, n_in = (math.prod(values.shape[i] for i in part) for part in order[1:])
    shape = torch.Size([n_out, n_in, *(values.shape[i] for i in kernel)])
    moved = values.permute(*order[0], *order[1], *order[2], *kernel)
    stack = len(order[0])
    for index in itertools.product(*(range(size) for size in moved.shape[:stack])):
        yield moved[index], shape


def named_parameters(model: nn.Module) -> list[NamedParameter]:
    """Return the parameters of ``model``, each once, in the order of ``named_parameters``.

    Raises:
        InitBenchError: a parameter is lazy or distributed.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        >>> [(p.name, p.role) for p in named_parameters(model)]
        [('0.weight', 'weight'), ('0.bias', 'bias'), ('1.weight', 'reset'), ('1.bias', 'reset')]
    """
    seen: set[int] = set()
    uses = UsesInModel(model)
    linear = {id(m._parameters.get("weight")): m for m in model.modules() if type(m) is nn.Linear}
    linear.pop(id(None), None)
    return [
        _with_head(parameter, linear) if parameter.is_table else parameter
        for path, module in model.named_modules()
        if "parametrizations" not in path.split(".")
        for parameter in _own_parameters(path, module, seen, uses)
    ]


def _with_head(table: NamedParameter, linear: Mapping[int, nn.Module]) -> NamedParameter:
    """Return a table that knows its fans in the linear layer that has its weight, if one has."""
    head = linear.get(id(table.module._parameters.get(table.attribute)))
    return table if head is None else replace(table, of_head=module_fans(head, "weight"))


def _own_parameters(
    path: str, module: nn.Module, seen: set[int], uses: UsesInModel
) -> Iterator[NamedParameter]:
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
    matrices = {name for name, value in shapes.items() if is_weight(module, name, value)}
    unknown = {name for name in matrices if not is_known(module, name)}
    used = {name: uses.find(path, name) for name in unknown}
    own_made = set() if is_torchs(module) else matrices
    factors = {name: _constant_factor(uses.find(path, name)) for name in own_made}
    keep = {
        name: reason_to_keep(module, value, used.get(name), known=name not in unknown)
        for name, value in shapes.items()
    }
    weights = {name for name in matrices if not keep[name]}
    for name in shapes:
        if name in own and id(own[name]) in seen:
            continue
        seen.add(id(own.get(name)))
        role = "weight" if name in weights else _role(module, name, weights | matrices)
        yield NamedParameter(
            name=f"{path}.{name}".lstrip("."),
            path=path,
            module=module,
            attribute=name,
            role="left" if keep[name] else role,
            parametrized=name in computed,
            use=used.get(name),
            factor=factors.get(name, 1.0),
            why=keep[name],
        )


def _constant_factor(use: WeightUse | None) -> float:
    return use.factor if use is not None and math.isfinite(use.factor) else 1.0


def _computed(module: nn.Module) -> dict[str, Tensor]:
    """Return what ``torch.nn.utils.parametrize`` computes for ``module``."""
    if not parametrize.is_parametrized(module):
        return {}
    with torch.no_grad():
        return {name: getattr(module, name) for name in module.parametrizations}  # type: ignore[union-attr]


def _role(module: nn.Module, name: str, beside: set[str]) -> Role:
    if beside:
        return "bias" if is_bias(module, name, beside) else "left"
    return "reset" if can_reset(module) else "left"


def _check(name: str, value: Tensor) -> None:
    """Refuse parameters that have no shape yet, or hold a part of their values."""
    if is_lazy(value):
        raise InitBenchError(
            f"parameter {name!r} is lazy and has no shape yet: run one batch through the model, "
            f"model(batch), then initialize"
        )
    if type(value.data).__name__ == "DTensor":
        raise InitBenchError(
            f"parameter {name!r} is distributed: initialize the model on every rank before you "
            f"distribute it; the same seed gives every rank the same values"
        )
