"""Cache the statistics of layers while a model runs."""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from init_bench.hooks.module_names import child_of
from init_bench.hooks.nested_tensors import first_tensor
from init_bench.statistics.compared import EffectiveRanks
from init_bench.statistics.layer_statistics import describe, describe_weight

Bounds = tuple[float, float] | None


class StatisticsCache:
    """Describe outputs and weights of one model as it runs, none twice that did not change.

    Attributes:
        ranks: computes effective ranks, at the end of a forward run.
    """

    def __init__(self) -> None:
        self.ranks = EffectiveRanks()
        self.parametrized: dict[nn.Module, Tensor] = {}
        self.weights: dict[nn.Module, tuple[int, dict[str, float]]] = {}
        self.last: tuple[Any, int, Bounds, dict[str, float]] | None = None

    def clear(self) -> None:
        """Drop everything: weights may change between two runs of the model."""
        self.parametrized.clear()
        self.weights.clear()
        self.last = None

    def store_parametrized_weight(
        self, module: nn.Module
    ) -> Callable[[object, object, Tensor], None]:
        """Return a hook that stores the weight that parametrizations compute for ``module``.

        To read it from the module would compute it once more, which may change buffers.
        """

        def hook(parametrization: object, inputs: object, weight: Tensor) -> None:
            self.parametrized[module] = weight.detach()

        return hook

    def has_weight(self, module: nn.Module) -> bool:
        """Return whether ``module`` has a ``weight``, parametrized or not."""
        if parametrization_of_weight(module) is not None:
            return True
        return isinstance(getattr(module, "weight", None), Tensor)

    def of_weight(self, module: nn.Module) -> dict[str, float] | None:
        """Return the statistics of the module's weight, ``None`` where it is no matrix."""
        if parametrization_of_weight(module) is not None:
            weight = self.parametrized.get(module)
        else:
            weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.dim() < 2 or first_tensor(weight) is None:
            return None
        version = -1 if weight.is_inference() else weight._version
        if (known := self.weights.get(module)) is None or known[0] != version:
            with _full_precision(weight):
                known = (version, describe_weight(weight, self.ranks))
            self.weights[module] = known
        return known[1]

    def of_output(self, output: Tensor, bounds: Bounds) -> dict[str, float]:
        """Return the statistics of an output.

        They are those of the last one where the values are the same, as after ``Identity``,
        ``Flatten`` or ``Dropout`` in ``eval()``.
        """
        if (
            self.last is not None
            and _is_unchanged(output, *self.last[:2])
            and self.last[2] == bounds
        ):
            return self.last[3]
        statistics = describe_full_precision(output, bounds, self.ranks)
        if not output.is_inference():
            self.last = (weakref.ref(output), output._version, bounds, statistics)
        return statistics


def parametrization_of_weight(module: nn.Module) -> nn.Module | None:
    """Return the module that computes the weight of ``module``, ``None`` without one."""
    parametrizations = child_of(module, "parametrizations")
    return None if parametrizations is None else child_of(parametrizations, "weight")


def describe_full_precision(
    values: Tensor, bounds: Bounds, ranks: EffectiveRanks | None = None
) -> dict[str, float]:
    """Return the statistics of ``values``, without autocast."""
    with _full_precision(values):
        return describe(values, bounds, ranks)


def _full_precision(values: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast, whose products would be of half precision."""
    kind = values.device.type
    if torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def _is_unchanged(output: Tensor, last: Callable[[], Tensor | None], version: int) -> bool:
    """Return whether ``output`` holds the values of the last one, which must still be alive."""
    before = last()
    return (
        before is not None
        and not output.is_inference()
        and output._version == version
        and output.data_ptr() == before.data_ptr()
        and (len(output), output.numel()) == (len(before), before.numel())
        and output.is_contiguous() == before.is_contiguous()
    )
