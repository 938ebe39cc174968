"""Tell how much wider each parameter is than in a base model: by tracing, or by its shapes."""

import math
import re
from dataclasses import dataclass

from torch import nn

from init_bench.errors import InitBenchError
from init_bench.hooks.module_names import unwrapped
from init_bench.init.tensor_inits.fans import fans as fans_of_shape
from init_bench.init.whole_model.model_graph import ModelGraph
from init_bench.init.whole_model.parameters import NamedParameter
from init_bench.init.whole_model.transformer_parts import part_of

SUCH_AS = "base='mine:small', a function in mine.py that builds the same model with another width"
"""What to pass as ``base``, for a message."""


BLOCKS = (
    nn.MultiheadAttention,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
"""Modules of torch's, of many weights, that tracing does not enter and whose ends are hidden."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Say how many times the base's inputs and outputs a parameter has.

    A bias, a normalization's scale or an embedding has one input; a parameter that is no matrix
    has outputs alone.

    Attributes:
        role: ``hidden``, ``readout`` (its inputs grow alone), ``input`` (its outputs do) or
            ``fixed``.
        fan_in, fan_out: how many times the base's.
    """

    role: str
    fan_in: float = 1.0
    fan_out: float = 1.0

    @classmethod
    def of(cls, fan_in: float, fan_out: float) -> "Growth":
        """Return the growth with the role that it shows."""
        role = {(0, 0): "fixed", (0, 1): "input", (1, 0): "readout", (1, 1): "hidden"}
        return cls(role=role[fan_in != 1, fan_out != 1], fan_in=fan_in, fan_out=fan_out)


class View:
    """Hold a model as its user built it, without what wraps it.

    Attributes:
        graph: its parameters and layers.
        tied: all names of tied parameters, by the first.
    """

    def __init__(self, model: nn.Module) -> None:
        self.graph = ModelGraph(unwrapped(model))
        self.tied = {name: every for name, every in self.graph.names.items() if every[1:]}

    def is_at(self, name: str, ends: frozenset[str]) -> bool:
        """Return whether a parameter, under this name, belongs to one of the layers ``ends``."""
        return any(path in ends for path in _with_modules_around(name))

    @property
    def readout_is_tied(self) -> bool:
        """Whether the last layer's weight is that of another layer too."""
        last = self.graph.structure.last
        return any(self.is_at(name, last) for every in self.tied.values() for name in every)


def growth_from_base(view: View, base: View) -> dict[str, Growth]:
    """Return the growth of each parameter against the same one of a base model.

    Raises:
        InitBenchError: no width differs, the base lacks a parameter, or a role is unclear.
    """
    found = {
        name: _against(parameter, _counterpart(parameter, base))
        for name, parameter in view.graph.parameters.items()
    }
    if all(one.role == "fixed" for one in found.values()):
        name, parameter = next(iter(view.graph.parameters.items()))
        raise InitBenchError(
            f"every parameter has the shape it has in the base model, such as {name!r} with "
            f"{tuple(parameter.values.shape)}: pass a base of another width, {SUCH_AS}"
        )
    for name in view.tied:
        if found[name].role == "readout":  # a table under another name: one input, one-hot
            found[name] = Growth(role="input", fan_out=found[name].fan_in)
    return found


def _against(parameter: NamedParameter, other: NamedParameter) -> Growth:
    shape, base = parameter.values.shape, other.values.shape
    if len(shape) != len(base):
        raise InitBenchError(
            f"{parameter.name!r} has shape {tuple(shape)} and {other.name!r} of the base "
            f"{tuple(base)}: pass a base that differs in its widths alone, {SUCH_AS}"
        )
    ratio = math.prod(a / b for a, b in zip(shape, base, strict=True))
    if parameter.role != "weight":
        return Growth.of(1.0, ratio)
    inputs = _fan_in(parameter) / _fan_in(other)
    return Growth.of(inputs, ratio / inputs)


def _fan_in(parameter: NamedParameter) -> float:
    return (parameter.fans or fans_of_shape(parameter.values))[0]


def _counterpart(parameter: NamedParameter, base: View) -> NamedParameter:
    """Return the parameter of the base with the same name, block numbers aside if need be."""
    known = base.graph.parameters
    if parameter.name in known:
        return known[parameter.name]
    alike = [p for name, p in known.items() if numberless(name) == numberless(parameter.name)]
    if len({p.values.shape for p in alike}) != 1:
        raise InitBenchError(
            f"the base model has no parameter {parameter.name!r}, nor blocks of one shape that "
            f"have it: pass a base that differs in width and number of blocks alone, {SUCH_AS}"
        )
    return alike[0]


def numberless(name: str) -> str:
    """Return a name without the numbers of its blocks.

    Example:
        >>> numberless("blocks.11.fc.weight")
        'blocks.#.fc.weight'
    """
    return re.sub(r"\d+", "#", name)


def growth_by_tracing(view: View, base_width: int) -> dict[str, Growth]:
    """Return the growth of each parameter, the first and the last layers told by tracing.

    Raises:
        InitBenchError: the model cannot be traced, its widths differ from layer to layer, or it
            is unclear which layer is the first or the last.
    """
    width = width_of(view)
    ratio = width / base_width
    weights = {
        name: _traced(view, parameter, ratio)
        for name, parameter in view.graph.parameters.items()
        if parameter.role == "weight"
    }
    growing = {
        id(view.graph.parameters[name].module): one.role in ("input", "hidden")
        for name, one in weights.items()
    }
    others = {
        name: _vector(ratio) if growing.get(id(p.module), _has(p, width)) else Growth(role="fixed")
        for name, p in view.graph.parameters.items()
        if name not in weights
    }
    return weights | others


def width_of(view: View) -> int:
    """Return the number of units that the first layers give and the last ones take.

    Raises:
        InitBenchError: the model cannot be traced, or the numbers are not one.
    """
    first, last = view.graph.structure.first, view.graph.structure.last
    _refuse_unclear(view)
    widths: dict[str, int] = {}
    for name, parameter in view.graph.parameters.items():
        if parameter.role != "weight" or _is_recurrent(parameter):
            continue
        inputs, outputs = units(parameter)
        at_first, at_last = view.is_at(name, first), view.is_at(name, last)
        if at_first and not at_last:
            widths[name] = outputs
        if at_last and not at_first:
            widths[name] = inputs
    if len(set(widths.values())) != 1:
        found = ", ".join(f"{name!r} {size}" for name, size in list(widths.items())[:4])
        said = f"the widths at both ends differ: {found}" if widths else "there is no hidden layer"
        raise InitBenchError(
            f"base_width= says how wide one hidden layer was, and {said}: pass {SUCH_AS}"
        )
    return next(iter(widths.values()))


def _refuse_unclear(view: View) -> None:
    """Refuse a model whose ends tracing does not tell."""
    structure, graph = view.graph.structure, view.graph
    if not structure.first or not structure.last:
        name = next((p.name for p in graph.weights), "")
        raise InitBenchError(
            f"it is unclear which layers are the first and the last, so whether {name!r} is one: "
            f"the forward function could not be traced ({structure.failure}); pass {SUCH_AS}"
        )
    inside = {path for branch in structure.branches for path in branch.modules}
    for path in sorted(structure.first | structure.last):
        module = dict(graph.model.named_modules()).get(path)
        if isinstance(module, BLOCKS) or path in inside:
            end = "takes the input" if path in structure.first else "gives the output"
            raise InitBenchError(
                f"{path!r} {end} and is as wide as the hidden layers beside it: it is unclear "
                f"which of its widths grow; pass {SUCH_AS}"
            )


def _traced(view: View, parameter: NamedParameter, ratio: float) -> Growth:
    names = view.graph.names[parameter.name]
    if any(isinstance(_module_of(view, name), nn.Embedding) for name in names):
        return Growth(role="input", fan_out=ratio)
    if parameter.use is None and _is_guess(parameter):
        raise InitBenchError(
            f"how {parameter.name!r} is used is not known, so neither is its role: pass "
            f"fans={{{parameter.name!r}: (fan_in, fan_out)}} and {SUCH_AS}"
        )
    if part_of(view.graph, parameter) == "router":
        return Growth(role="readout", fan_in=ratio)
    if getattr(parameter.module, "groups", 1) > 1:
        raise InitBenchError(
            f"{parameter.name!r} has {parameter.module.groups} groups: it is unclear whether these "
            f"grow with the width; pass {SUCH_AS}"
        )
    first = view.is_at(parameter.name, view.graph.structure.first) and not _is_recurrent(parameter)
    last = any(view.is_at(name, view.graph.structure.last) for name in names)
    if last and isinstance(parameter.module, nn.RNNBase):
        raise InitBenchError(
            f"{parameter.name!r} gives the output: it is unclear whether that grows with the "
            f"width; pass {SUCH_AS}"
        )
    role = {(0, 0): "hidden", (1, 0): "input", (0, 1): "readout", (1, 1): "fixed"}[first, last]
    return Growth(role=role, fan_in=1.0 if first else ratio, fan_out=1.0 if last else ratio)


def _is_guess(parameter: NamedParameter) -> bool:
    return parameter.fans is None


def _module_of(view: View, name: str) -> nn.Module:
    return view.graph.model.get_submodule(name.rpartition(".")[0])


def _is_recurrent(parameter: NamedParameter) -> bool:
    """Return whether a weight of a recurrent layer takes what the layer itself gave."""
    inner = "_hh" in parameter.attribute or not re.search(r"ih(_l0)?(_|$)", parameter.attribute)
    return isinstance(parameter.module, nn.RNNBase | nn.RNNCellBase) and inner


def units(parameter: NamedParameter) -> tuple[int, int]:
    """Return how many inputs and outputs a weight has, positions of a kernel not counted."""
    if parameter.is_table:
        return 1, parameter.values.shape[1]
    block = parameter.blocks(parameter.values)[0]
    groups = getattr(parameter.module, "groups", 1)
    return block.shape[1] * groups, block.shape[0]


def _vector(ratio: float) -> Growth:
    """Return the growth of a bias, or of any other parameter that is no matrix."""
    return Growth(role="input", fan_out=ratio)


def _has(parameter: NamedParameter, width: int) -> bool:
    """Return whether a parameter has the size of a hidden layer, or a multiple of it."""
    return any(size and size % width == 0 for size in parameter.values.shape)


def _with_modules_around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
