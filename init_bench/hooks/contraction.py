"""Read from a call of a torch function which operand is a weight and what that sums over."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Axis = Literal["stack", "out", "in", "kernel"]
"""What a dimension of a weight is: matrices side by side, outputs, inputs, or positions."""


IsWeight = Callable[[object], bool]
"""Tell whether an operand is a weight, or computed from weights alone."""


@dataclass(frozen=True)
class Contraction:
    """Describe a product that sums over inputs, with a weight as one operand.

    Attributes:
        weight: the operand, as it is used.
        signal: what it is multiplied with.
        axes: what each dimension of ``weight`` is.
        groups: of a convolution.
    """

    weight: Tensor
    signal: object
    axes: tuple[Axis, ...]
    groups: int = 1

    @property
    def fan_in(self) -> int:
        """How many terms one output sums."""
        return self._size("in")

    @property
    def fan_out(self) -> int:
        """How many outputs one input reaches."""
        return self._size("out") // self.groups

    def _size(self, side: str) -> int:
        sizes = zip(self.axes, self.weight.shape, strict=True)
        return math.prod(size for axis, size in sizes if axis in (side, "kernel"))


def contraction_of(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], is_weight: IsWeight
) -> Contraction | None:
    """Return the contraction that a call is, ``None`` where it is none with exactly one weight.

    Args:
        name: of the function.
        args, kwargs: of the call.
        is_weight: tells weights from signals.

    Example:
        >>> import torch
        >>> x, w = torch.ones(5, 3), torch.ones(3, 2)
        >>> found = contraction_of("matmul", (x, w), {}, lambda operand: operand is w)
        >>> found.axes, found.fan_in, found.fan_out
        (('in', 'out'), 3, 2)
    """
    if name == "einsum":
        return _einsum(args, is_weight)
    if name in _PRODUCTS:
        return _product(*_PRODUCTS[name](args, kwargs), is_weight)
    if name not in _LAYERS:
        return None
    signal, weight = _argument(args, kwargs, 0, "input"), _argument(args, kwargs, 1, "weight")
    if not is_weight(weight) or is_weight(signal):
        return None
    groups = _argument(args, kwargs, 6, "groups") if "conv" in name else 1
    axes = (*_LAYERS[name], *("kernel",) * (weight.dim() - 2)) if weight.dim() > 1 else ("in",)
    transposed = name.startswith("conv_transpose")
    return Contraction(weight, signal, axes, 1 if transposed else groups or 1)


def looked_up(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """Return the table in which a call looks rows up, ``None`` where it looks up nothing."""
    if name in ("embedding", "embedding_bag"):
        return _argument(args, kwargs, 1, "weight")
    if name in ("__getitem__", "index_select", "gather", "take_along_dim"):
        return args[0]
    return None


_LAYERS: dict[str, tuple[Axis, Axis]] = {
    "linear": ("out", "in"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ("out", "in")),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), ("in", "out")),
}
"""What the first two dimensions of the second argument are."""


def _both(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[object, object]:
    second = kwargs.get("other", kwargs.get("mat2", kwargs.get("mat_b")))
    return args[0] if args else kwargs.get("input"), args[1] if len(args) > 1 else second


def _swapped(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[object, object]:
    return args[1], args[0]


def _behind_the_first(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[object, object]:
    return (args[1], args[2]) if len(args) > 2 else (None, None)


_PRODUCTS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], tuple[object, object]]] = {
    **dict.fromkeys(
        ("matmul", "__matmul__", "mm", "bmm", "mv", "_grouped_mm", "grouped_mm"), _both
    ),
    "__rmatmul__": _swapped,
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _behind_the_first),
}
"""Which two operands a function multiplies as matrices."""


def _argument(args: Sequence[Any], kwargs: Mapping[str, Any], position: int, name: str) -> Any:
    return args[position] if len(args) > position else kwargs.get(name)


def _product(left: object, right: object, is_weight: IsWeight) -> Contraction | None:
    if is_weight(left) == is_weight(right):
        return None
    weight, signal = (right, left) if is_weight(right) else (left, right)
    if not isinstance(weight, Tensor) or not weight.dim():
        return None
    last: tuple[Axis, ...] = ("in", "out") if weight is right else ("out", "in")
    if weight.dim() == 1:
        last = ("in",)
    stack: list[Axis] = ["stack"] * (weight.dim() - 2)
    return Contraction(weight, signal, (*stack, *last))


def _einsum(args: Sequence[Any], is_weight: IsWeight) -> Contraction | None:
    """Return the contraction of a label that the weight and one signal share, and no output has.

    A label that a third operand has too only weighs the sums, as the shares of experts do.
    """
    if not args or not isinstance(args[0], str):
        return None
    several = len(args) == 2 and isinstance(args[1], list | tuple)
    operands = list(args[1] if several else args[1:])
    left, arrow, output = args[0].replace(" ", "").partition("->")
    terms = left.split(",")
    weights = [i for i, operand in enumerate(operands) if is_weight(operand)]
    if len(weights) != 1 or len(terms) != len(operands):
        return None
    weight, term = operands[weights[0]], terms.pop(weights[0])
    if len(term) != weight.dim() or len(set(term)) < len(term) or "." in term:
        return None
    if not arrow:
        output = "".join(label for label in left if left.count(label) == 1)
    axes = tuple(_axis(label, terms, output) for label in term)
    operands.pop(weights[0])
    return Contraction(weight, operands[0], axes) if "in" in axes else None


def _axis(label: str, others: Sequence[str], output: str) -> Axis:
    shared = sum(label in term for term in others)
    if label in output:
        return "stack" if shared else "out"
    return "in" if shared < 2 else "stack"
