"""Fill a model by a law of width and depth, and set the rates of its parameters."""

import math
from collections.abc import Callable, Iterator, Mapping

from torch import nn

from init_bench.errors import InitBenchError, check_int
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init.graph.branch import Branch
from init_bench.init.module_inits.scaling_law import Scaling
from init_bench.init.module_inits.width_growth import (
    SUCH_AS,
    Growth,
    View,
    growth_by_tracing,
    growth_from_base,
    numberless,
    units,
)
from init_bench.init.spec import InitSpec, parse
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.tensor_fill import nominal_std_of
from init_bench.init.whole_model.transformer_parts import part_of
from init_bench.models import check_module, find_factory

Base = str | Callable[[], nn.Module] | None
"""A function that builds the base model, or its name, ``module:function``."""


class WidthFilling:
    """Fill one network by the law."""

    def __init__(self, network: Network, base_width: int | None, base: Base) -> None:
        if (base_width is None) == (base is None):
            name = next(iter(network.parameters))
            raise InitBenchError(
                f"the factors of {name!r} and all others depend on the model that the rates were "
                f"found with: pass either base_width=64, its hidden units, or {SUCH_AS}"
            )
        self.network, self.view = network, View(network.model)
        self.base = None if base is None else View(_built(base))
        self.growth = self._growth(base_width)

    def _growth(self, base_width: int | None) -> dict[str, Growth]:
        if self.base is not None:
            return growth_from_base(self.view, self.base)
        return growth_by_tracing(self.view, check_int(base_width, "base_width", minimum=1))

    def fill(self, start: str, *, law: str = "mup", depth: float = 1.0, alpha: float = 1.0) -> None:
        """Fill all parameters by ``start``, scale them, and set their rates."""
        self._refuse_start(init := parse(start))
        self.network.start(init)
        inside = dict(self._inside(depth, alpha))
        multiplier = self._multiplier()
        for name, one in self.growth.items():
            parameter = self.network.parameters[name]
            rate = 1.0
            if law == "u_mup" and one.role == "input" and parameter.role == "weight":
                rate = one.fan_out**-0.5
            scaling = Scaling(
                growth=one,
                depth=depth if name in inside else 1.0,
                alpha=alpha,
                folded=self._folded(name, multiplier, inside),
                rate=rate,
                aspect=_aspect(parameter),
            )
            self._apply(parameter, scaling, init)
        self._check_attention()

    def zero_readout(self) -> None:
        """Start the weights that give the output at 0."""
        for name, one in self.growth.items():
            if one.role == "readout" and not self._is_router(name):
                self.network.fill(self.network.parameters[name], "zeros", "readout")

    def _folded(self, name: str, multiplier: float, inside: Mapping[str, float]) -> float:
        """Return the multiplier of the law that goes into the weight, as the model has none."""
        one = self.growth[name]
        if one.role != "readout":
            return inside.get(name, 1.0)
        return 1 / one.fan_in if self._is_router(name) else multiplier

    def _is_router(self, name: str) -> bool:
        """Return whether outputs that do not grow are scores of experts inside the model."""
        return part_of(self.view.graph, self.view.graph.parameters[name]) == "router"

    def _refuse_start(self, init: InitSpec) -> None:
        weights = [p for p in self.network.parameters.values() if p.role == "weight"]
        if init.needs != "tensor" or any(nominal_std_of(p, init).std is None for p in weights):
            raise InitBenchError(
                f"start={str(init)!r} states no standard deviation that could follow the width; "
                f"use one that does, such as he_normal or normal(std=0.02)"
            )

    def _apply(self, parameter: NamedParameter, scaling: Scaling, init: InitSpec) -> None:
        growth = scaling.growth
        self.network.set_rates(parameter, scaling.factors)
        if parameter.role == "weight":
            follows = self.network.nonlinearity(parameter)[0]
            own = nominal_std_of(parameter, init, follows).std
            pair = (growth.fan_in, growth.fan_out)
            base = nominal_std_of(parameter, init, follows, growth=pair).std
            factor = base * scaling.std / own if own and base else 1.0
            said = f"{growth.role}, {_times(growth)} the base"
            if math.isclose(factor, 1.0):
                self.network.note(parameter, said)
            elif not self.network.has_override(parameter):
                self.network.scale(parameter, factor, f"{said}: std of {init} times {factor:.4g}")
        elif scaling.folded != 1 and parameter.role == "bias":
            self.network.note(parameter, f"ends its branch: takes over {scaling.folded:.4g}")

    def _multiplier(self) -> float:
        """Return the multiplier of the logits that the readout takes over; 1 if the model has."""
        growth = max(self.growth.values(), key=lambda one: one.fan_out).fan_out
        readouts = [one.fan_in for one in self.growth.values() if one.role == "readout"]
        wanted = 1 / (readouts[0] if readouts else growth)
        own = self.view.graph.structure.output_scale
        base = 1.0 if self.base is None else self.base.graph.structure.output_scale
        has = math.isclose(own / base, wanted, rel_tol=1e-3)
        if self.view.readout_is_tied and not has and wanted != 1:
            self.network.to_check.append(
                f"its readout is tied to an embedding, so the forward function must multiply the "
                f"logits by base width / width = {wanted:.4g}; found {own / base:.4g}"
            )
        return 1.0 if has else wanted

    def _inside(self, depth: float, alpha: float) -> Iterator[tuple[str, float]]:
        """Yield the parameters inside branches and the multiplier that each takes over."""
        if depth == 1:
            return
        graph, wanted = self.view.graph, depth**-alpha
        for branch in graph.branches():
            base = self._base_scale(branch)
            steps = (*branch.modules, *branch.parameters)
            found = {p.name: p for path in steps for p in graph.within(path)}
            ends = dict.fromkeys(self._ends_of(branch, base, wanted), wanted)
            yield from {name: ends.get(name, 1.0) for name in found}.items()

    def _ends_of(self, branch: Branch, base: float, wanted: float) -> list[str]:
        """Return the weight and bias that take over the multiplier of a branch; none if it has."""
        graph = self.view.graph
        if math.isclose(branch.scale / base, wanted, rel_tol=1e-3):
            return []
        ends = graph.ends_of(branch)
        if graph.last_norm(branch) is not None or not math.isclose(branch.scale, base):
            self.network.to_check.append(
                f"the branch of {ends[-1].name!r} must be multiplied by (base depth / depth)^alpha "
                f"= {wanted:.4g} in the forward function; found {branch.scale / base:.4g}"
            )
            return []
        biases = [bias for end in ends for bias in graph.biases_of(end)]
        return [parameter.name for parameter in (*ends, *biases)]

    def _base_scale(self, branch: Branch) -> float:
        """Return by what the base multiplies its branch of the same name.

        Without a base that is 1; numbers that differ among the branches belong to the model.
        """
        if self.base is None:
            scales = {other.scale for other in self.view.graph.branches()}
            return 1.0 if len(scales) == 1 else branch.scale
        end = _end_of(self.view, branch)
        known = [(_end_of(self.base, b), b.scale) for b in self.base.graph.branches()]
        alike = {scale for name, scale in known if name == end} or {scale for _, scale in known}
        return alike.pop() if len(alike) == 1 else 1.0

    def _check_attention(self) -> None:
        """Say so where attention divides by √d and d may grow."""
        modules = dict(self.view.graph.model.named_modules())
        growing = [path for path in self.view.graph.structure.attention if self._head_grows(path)]
        if not growing:
            return
        module = modules.get(growing[0])
        known = isinstance(module, nn.MultiheadAttention) and self.base is not None
        why = "the size d of its heads grows" if known else "if the size d of its heads grows"
        self.network.to_check.append(
            f"attention in {growing[0]!r} and {len(growing) - 1} more divides by √d: {why} with "
            f"the width, it must divide by d (times √ of the base's d); more heads instead of "
            f"larger ones need nothing"
        )

    def _head_grows(self, path: str) -> bool:
        module = dict(self.view.graph.model.named_modules()).get(path)
        if all(one.fan_out == 1 for one in self.growth.values()):
            return False
        if self.base is None or not isinstance(module, nn.MultiheadAttention):
            return True
        other = dict(self.base.graph.model.named_modules()).get(path)
        return isinstance(other, nn.MultiheadAttention) and other.head_dim != module.head_dim


def _built(base: Base) -> nn.Module:
    factory = find_factory(base) if isinstance(base, str) else base
    if not callable(factory) or isinstance(factory, nn.Module):
        raise InitBenchError(f"base must be a function that builds the base model: pass {SUCH_AS}")
    with drawing_from(stream(0, "base model")):
        return check_module(factory(), "base")


def _end_of(view: View, branch: Branch) -> str:
    """Return the name of the last weight of a branch, numbers of blocks aside."""
    return numberless(view.graph.ends_of(branch)[-1].name)


def _aspect(parameter: NamedParameter) -> float:
    if parameter.role != "weight":
        return 1.0
    inputs, outputs = units(parameter)
    return outputs / inputs


def _times(growth: Growth) -> str:
    return f"{growth.fan_in:.4g} x fan_in and {growth.fan_out:.4g} x fan_out of"
