"""Follow parameters through the functions of a running model to where they multiply a signal."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.overrides import is_tensor_like
from torch.utils.weak import WeakIdKeyDictionary

from init_bench.hooks.contraction import Axis, Contraction, contraction_of, looked_up
from init_bench.hooks.weight_image import WeightImage, image_of, parameter_axes
from init_bench.statistics.layer_statistics import rms

Kind = Literal["matrix", "table", "scale"]


@dataclass(frozen=True, kw_only=True)
class WeightUse:
    """Describe how a model uses a parameter.

    Attributes:
        kind: ``matrix`` (outputs sum over its entries), ``table`` (rows are looked up) or ``scale``
            (it meets a signal entry by entry, or makes up a part of a weight).
        fan_in, fan_out: of a matrix as it is used; of a table 1 and the size of a row; else 0.
        axes: what each dimension of the parameter is; ``None`` where that is not known.
        function: the name of torch's function.
        gain: √(fan_in · mean \\|w\\|²) of the weight as it is used.
        factor: the constant by which the model multiplies a matrix before that; nan where it
            computes the weight in another way.
    """

    kind: Kind
    fan_in: int = 0
    fan_out: int = 0
    axes: tuple[Axis, ...] | None = None
    function: str = ""
    gain: float = math.nan
    factor: float = 1.0


@dataclass(frozen=True)
class _Origin:
    """Record what a tensor made of weights alone was computed from.

    Attributes:
        image: the parameter that it holds entry by entry, if it does.
        names: all parameters that it was computed from.
    """

    image: WeightImage | None
    names: frozenset[str]


_ENTRY_BY_ENTRY = frozenset(
    "add sub rsub mul multiply div true_divide addcmul addcdiv lerp where pow cat stack concat "
    "prelu layer_norm rms_norm group_norm batch_norm instance_norm einsum".split()
)
"""Functions in which a parameter meets a signal without a sum over its entries."""


_COPIES = frozenset(
    "to type type_as float double half bfloat16 contiguous clone reshape flatten".split()
)
"""Functions that return the same numbers in other memory."""


_TIMES = {"mul": 1, "rmul": 1, "imul": 1, "multiply": 1, "div": -1, "true_divide": -1}
_TIMES |= {"truediv": -1, "itruediv": -1}
"""Functions that multiply by a number, and its power."""


CLOSE = 1e-3
"""Relative error up to which a factor is called 1/E or 1/√E."""


class WeightUses:
    """Note how each parameter is used, call by call of torch's functions.

    Attributes:
        found: the use of each parameter seen so far.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.found: dict[str, WeightUse] = {}
        self.shapes = {name: value.shape for name, value in weights.items()}
        self.origins: Any = WeakIdKeyDictionary()
        self.products: Any = WeakIdKeyDictionary()
        self.read_values = False  # numbers of Python's may then be computed from a weight
        for name, value in weights.items():
            image = WeightImage.of(name, value, learned=isinstance(value, torch.nn.Parameter))
            self.origins[value] = _Origin(image, frozenset((name,)))

    def observe(
        self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], output: object
    ) -> tuple[Contraction, float] | None:
        """Note what a call does with weights; return a contraction, and its gain."""
        name = getattr(function, "__name__", "")
        every = list(operands((*args, *kwargs.values())))
        known = [operand for operand in every if self._is_weight(operand)]
        self._note_mean(name, args, every)
        found = contraction_of(name, args, kwargs, self._is_weight) if known else None
        if found is not None:
            gain = gain_of(found)
            self._note_contraction(name, found, gain, output)
            return found, gain
        if known and self._note_table(name, args, kwargs, output):
            return None
        if known and all(self._is_weight(operand) or _is_number(operand) for operand in every):
            self._derive(name, args, known, output)
        elif _plain(name) in _ENTRY_BY_ENTRY:
            self._note_parts(frozenset().union(*(self.origins[x].names for x in known)), name)
        return None

    def is_learned(self, weight: Tensor) -> bool:
        """Return whether a weight is a parameter, or computed from one."""
        return _is_learned(self.origins[weight].image)

    def _is_weight(self, operand: object) -> bool:
        return isinstance(operand, Tensor) and operand in self.origins

    def _derive(
        self, function: str, args: Sequence[Any], sources: Sequence[Tensor], output: object
    ) -> None:
        """Remember that ``output`` is computed from weights alone."""
        origins = [self.origins[source] for source in sources]
        names = frozenset().union(*(origin.names for origin in origins))
        images = [origin.image for origin in origins if origin.image is not None]
        learned = sum(_is_learned(origin.image) for origin in origins)
        self.read_values |= isinstance(output, float | list | np.ndarray) and learned > 0
        is_constant = learned == 1 and not self.read_values
        factor = _constant(function, args) if is_constant else math.nan
        for tensor in operands((output,)):
            if isinstance(tensor, Tensor) and tensor not in self.origins:
                self.origins[tensor] = _Origin(image_of(tensor, images, factor), names)

    def _note_contraction(
        self, function: str, found: Contraction, gain: float, output: object
    ) -> None:
        origin: _Origin = self.origins[found.weight]
        image = origin.image
        self._note_parts(origin.names - ({image.name} if image else set()), function)
        if image is None:
            return
        use = WeightUse(
            kind="matrix",
            fan_in=found.fan_in,
            fan_out=found.fan_out,
            axes=parameter_axes(image, found, len(self.shapes[image.name])),
            function=function,
            gain=gain,
            factor=image.factor,
        )
        before = self.found.get(image.name)
        if before is None or before.kind != "matrix" or before.gain < gain:
            self.found[image.name] = use
        if is_tensor_like(output):  # type: ignore[no-untyped-call]
            self.products[output] = image.name

    def _note_parts(self, names: Iterable[str], function: str) -> None:
        for name in names:
            self.found.setdefault(name, WeightUse(kind="scale", function=function))

    def _note_table(
        self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: object
    ) -> bool:
        """Note a table whose rows the signal chooses, or follow the matrices chosen of a stack."""
        table = looked_up(function, args, kwargs)
        index = [x for x in operands((*args, *kwargs.values())) if x is not table]
        if not self._is_weight(table) or not index or all(map(self._is_weight, index)):
            return False
        image = self.origins[table].image
        if image is None:
            return True
        shape = self.shapes[image.name]
        if len(shape) > 2 and isinstance(output, Tensor):
            names = frozenset((image.name,))
            self.origins[output] = _Origin(WeightImage.of(image.name, output), names)
        else:
            row = math.prod(shape[1:])
            use = WeightUse(kind="table", fan_in=1, fan_out=row, function=function)
            self.found.setdefault(image.name, use)
        return True

    def _note_mean(self, name: str, args: Sequence[Any], every: Sequence[Any]) -> None:
        """Count a sum over a stack of E matrices that is divided by E or √E as a mean of them."""
        product = next((x for x in every if x in self.products), None)
        factor = None if product is None else factor_of(name, args)
        if factor is None:
            return
        parameter = self.products[product]
        use = self.found[parameter]
        if use.axes is None or use.axes.count("in") < 2:
            return
        stack = use.axes.index("in")
        number = self.shapes[parameter][stack]
        if any(abs(factor**power * number - 1) < CLOSE for power in (1, 2)):
            axes = (*use.axes[:stack], "stack", *use.axes[stack + 1 :])
            gain = use.gain * factor
            self.found[parameter] = replace(use, axes=axes, fan_in=use.fan_in // number, gain=gain)


def _is_learned(image: WeightImage | None) -> bool:
    return image is None or image.learned


def gain_of(found: Contraction) -> float:
    """Return √(fan_in · mean \\|w\\|²) of the weight of a contraction, as it is used."""
    if not found.weight.numel():
        return math.nan
    return math.sqrt(found.fan_in) * rms(found.weight)


def factor_of(name: str, args: Sequence[Any]) -> float | None:
    """Return the number by which a call multiplies a tensor, ``None`` where it does not.

    Example:
        >>> factor_of("__truediv__", (torch.ones(2), 4)), factor_of("add", (torch.ones(2), 4))
        (0.25, None)
        >>> factor_of("mul", (2, torch.ones(2))), factor_of("div", (2, torch.ones(2)))
        (2.0, None)
    """
    power = _TIMES.get(name.strip("_"))
    if power is None or len(args) != 2:
        return None
    factors = args if power > 0 else args[1:]  # 2 / w is no multiple of w
    number = next((x for x in factors if _is_number(x)), None)
    if number is None or isinstance(number, torch.nn.Parameter):
        return None
    size = abs(float(number))
    return size**power if 0 < size < math.inf else None


def _constant(name: str, args: Sequence[Any]) -> float:
    """Return by what a call multiplies its only tensor that can learn; nan of another function."""
    if name.strip("_") in _COPIES:
        return 1.0
    factor = factor_of(name, args)
    return math.nan if factor is None else factor


def _plain(name: str) -> str:
    """Return the name of a function without what marks it as in place, or as an operator."""
    bare = name.strip("_")
    return bare if bare in _ENTRY_BY_ENTRY else bare.lstrip("ir")


def _is_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.dim() == 0 and not value.is_complex() and not value.is_meta
    return isinstance(value, int | float) and not isinstance(value, bool)


def operands(values: Iterable[Any]) -> Iterator[Any]:
    """Yield the tensors, and what stands for a tensor, in arguments and lists of them."""
    for value in values:
        if is_tensor_like(value):  # type: ignore[no-untyped-call]
            yield value
        elif isinstance(value, list | tuple):
            yield from operands(value)
