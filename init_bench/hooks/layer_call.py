"""Hold the statistics of one call of a layer: its input, output, weight and gradients."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from init_bench.hooks.batch_axis import batch_dim_of
from init_bench.hooks.nested_tensors import first_tensor
from init_bench.statistics.compared import EffectiveRanks
from init_bench.statistics.histogram import Histogram
from init_bench.statistics.layer_statistics import describe

Statistics = dict[str, float]
Row = dict[str, object]


@dataclass(frozen=True)
class UsedWeight:
    """Describe a weight as a call of a layer used it.

    Attributes:
        gain: √(fan_in · mean \\|w\\|²), by which it multiplies an incoherent signal.
        units: number of outputs.
        distinct: how many of them have different weights; nan of what is no parameter.
    """

    gain: float
    units: int
    distinct: float


@dataclass(frozen=True, kw_only=True)
class OwnProduct:
    """Describe a product with a weight that a module computes itself, beside its child modules.

    Attributes:
        layer: qualified name of the module.
        index: of the last layer call before it, 0 where there is none.
        input_sample_std: of the signal; nan where unknown.
        gain, units, distinct: of the weight, see ``UsedWeight``.
    """

    layer: str
    index: int
    input_sample_std: float
    gain: float
    units: int
    distinct: float


@dataclass(kw_only=True)
class LayerCall:
    """Hold what is known of one call of a layer.

    Attributes:
        layer: qualified name of the module; ``module:function`` of a nonlinearity that is called
            as a function.
        index: order of execution, from 1.
        call: which call of that layer it is, from 1.
        kind: ``pre_activation`` or ``activation``, the kind of its output.
        samples: number of samples in the output; 0 of a function of a parameter.
        outputs: number of values per sample.
        output: statistics of the output.
        input: statistics of the input, as ``describe_signal`` returns them; empty where unknown.
        weight: statistics of the module's weight, ``None`` where it has no weight matrix.
        gradients: statistics of the gradient with respect to the output, one per backward pass.
        histogram: of the output's values, ``None`` unless asked for.
        used: the weights that a layer of the user's own multiplied by.
        factor_before, factor_after: constants by which the model multiplied its input and output.
        normalizes: whether it gives the same for larger input.
        returned: whether the model returns the output as it is, or a view of it.
    """

    layer: str
    index: int
    call: int
    kind: str
    samples: int
    outputs: float
    output: Statistics
    input: Statistics
    weight: Statistics | None = None
    gradients: list[Statistics] = field(default_factory=list)
    histogram: Histogram | None = None
    used: list[UsedWeight] = field(default_factory=list)
    factor_before: float = 1.0
    factor_after: float = 1.0
    normalizes: bool = False
    returned: bool = False

    def rows(self) -> Iterator[Row]:
        """Yield the row of the output, then those of the weight and of the gradients."""
        call: Row = {"layer": self.layer, "index": self.index, "call": self.call}
        yield {**call, "kind": self.kind, **self.output}
        if self.weight:
            yield {**call, "kind": "weight", **self.weight}
        for gradient in self.gradients:
            yield {**call, "kind": "gradient", **gradient}


class LayerInput:
    """Describe what a layer is called with.

    Args:
        value: the arguments of the call.
        batch_dim: the batch dimension of the module's tensors.
        at_once: describe it now. Otherwise it is described when the call ends, unless an
            operation in place changed it meanwhile.
    """

    def __init__(self, value: object, batch_dim: int, *, at_once: bool) -> None:
        self.batch_dim = batch_dim
        self.statistics: Statistics = {}
        self.tensor = first_tensor(value)
        self.is_parameter = isinstance(self.tensor, nn.Parameter)
        self.version = _version(self.tensor)
        if at_once:
            self.statistics, self.tensor = describe_signal(self.tensor, batch_dim), None

    def described(self) -> Statistics:
        """Return the statistics; empty where the input was changed before it was described."""
        if self.tensor is not None and self.version == _version(self.tensor) != -1:
            self.statistics = describe_signal(self.tensor, self.batch_dim)
        return self.statistics


def describe_signal(value: Any, batch_dim: int = 0) -> Statistics:
    """Return size, spread over samples and RMS of the first tensor in ``value``.

    Keys: ``samples``, ``dimensions``, ``rms``, ``std``, ``sample_std``, ``dead`` and ``nonfinite``.
    Empty where ``value`` holds no tensor that has statistics.

    Example:
        >>> import torch
        >>> signal = describe_signal((torch.tensor([[3.0], [-3.0]]), "more"))
        >>> signal["samples"], signal["rms"]
        (2.0, 3.0)
    """
    tensor = first_tensor(value)
    if tensor is None:
        return {}
    samples = tensor.transpose(0, batch_dim_of(tensor, batch_dim))
    statistics = describe(samples, ranks=EffectiveRanks())  # never filled: nobody asks for it
    return {
        "samples": float(len(samples)),
        "dimensions": float(tensor.dim()),
        **{name: statistics[name] for name in ("rms", "std", "sample_std", "dead", "nonfinite")},
    }


def _version(tensor: Tensor | None) -> int:
    """Return how often an operation in place changed ``tensor``, -1 where torch does not count."""
    return -1 if tensor is None or tensor.is_inference() else tensor._version
