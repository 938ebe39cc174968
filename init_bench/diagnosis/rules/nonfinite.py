"""List the verdict rules about nan and ±inf, in weights, outputs and gradients."""

from init_bench.diagnosis.measures.nonfinite import (
    nonfinite_gradient,
    nonfinite_signal,
    nonfinite_weights,
)
from init_bench.diagnosis.rules.rule import too_large

NONFINITE_RULES = (
    too_large(
        "nonfinite",
        "share of the layer's parameters that are nan or ±inf",
        nonfinite_weights,
        0.0,  # one is enough: it reaches every output
        local=True,
        meaning="it holds nan or ±inf",
        advice="initialize this parameter again; look for torch.empty without a fill, or a "
        "damaged checkpoint",
    ),
    too_large(
        "nonfinite",
        "share of the layer's output that is nan or ±inf",
        nonfinite_signal,
        0.0,
        first_only=True,
        meaning="its output is the first to hold nan or ±inf",
        advice="the signal overflows here: smaller weights, or a normalization before this layer",
    ),
    too_large(
        "nonfinite",
        "share of the gradient with respect to the layer's output that is nan or ±inf",
        nonfinite_gradient,
        0.0,
        backward=True,
        first_only=True,
        meaning="its gradient is the first to hold nan or ±inf",
        advice="the gradient overflows: smaller weights in the layers after it, or a loss that "
        "is finite for this output",
    ),
)
