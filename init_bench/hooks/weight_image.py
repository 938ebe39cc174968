"""Describe tensors that hold one parameter of a model, as a view of it or computed from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from init_bench.hooks.contraction import Axis, Contraction
from init_bench.hooks.isolation import address_of


@dataclass(frozen=True)
class WeightImage:
    """Describe the layout of a tensor that is one parameter, entry by entry, or rows of one.

    Attributes:
        name: of the parameter.
        shape, strides: the parameter's last dimensions; views share the memory at ``address``.
        in_order: whether its dimensions are those of the parameter.
        computed: whether its values are not those of the parameter itself.
        learned: whether it is a parameter, not a buffer.
        factor: the constant by which it was multiplied; nan where it was computed in another way.
    """

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    address: int
    in_order: bool = True
    computed: bool = False
    learned: bool = True
    factor: float = 1.0

    @classmethod
    def of(cls, name: str, tensor: Tensor, *, in_order: bool = True, **kind: bool) -> "WeightImage":
        """Return the layout of ``tensor``."""
        ordered = in_order and tensor.is_contiguous()
        return cls(name, tuple(tensor.shape), tensor.stride(), address_of(tensor), ordered, **kind)


def image_of(tensor: Tensor, images: Sequence[WeightImage], factor: float) -> WeightImage | None:
    """Return the parameter that ``tensor`` holds entry by entry: as a view, or in its shape.

    In its shape it was multiplied by ``factor``. ``None`` where it may be one of several: which of
    a mean and a spread is the weight, say, is known only where one of them is used as it is.
    """
    address = address_of(tensor)
    for image in images:
        if address and address == image.address:
            return image
    alike = [image for image in images if tensor.shape == image.shape]
    in_order = bool(alike)
    alike = alike or [image for image in images if tensor.numel() == math.prod(image.shape)]
    alike = [image for image in alike if image.learned] or alike
    if len({image.name for image in alike}) > 1:
        alike = [image for image in alike if not image.computed]
    if len({image.name for image in alike}) != 1:
        return None
    image = alike[0]
    kind = {"computed": True, "learned": image.learned}
    copied = WeightImage.of(image.name, tensor, in_order=in_order and image.in_order, **kind)
    return replace(copied, factor=image.factor * factor)


def parameter_axes(image: WeightImage, found: Contraction, number: int) -> tuple[Axis, ...] | None:
    """Return what each of the ``number`` dimensions of the parameter is, by the operand's strides.

    A dimension that the operand leaves out was indexed away: a stack. ``None`` where one dimension
    is two things, or the operand is no view of the parameter.
    """
    weight = found.weight
    if not image.in_order or not image.address or address_of(weight) != image.address:
        return None
    spans = [
        (stride, stride * size, axis)
        for size, stride, axis in zip(weight.shape, weight.stride(), found.axes, strict=True)
        if size > 1
    ]
    axes: list[Axis] = []
    for size, stride in zip(image.shape, image.strides, strict=True):
        inside = {axis for low, high, axis in spans if low < stride * size and high > stride}
        if len(inside) > 1:
            return None
        axes.append(inside.pop() if inside else "stack")
    indexed: list[Axis] = ["stack"] * (number - len(axes))
    return (*indexed, *axes[-number:])
