"""List the verdict rules about nan and ±inf, in weights, outputs and gradients."""

from init_bench.diagnosis.measures.nonfinite import (
    nonfinite_gradient,
    nonfinite_signal,
    nonfinite_weights,
)
from init_bench.diagnosis.rules.rule import Rule

NONFINITE_RULES = (
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's parameters that are nan or ±inf",
        measure=nonfinite_weights,
        threshold=0.0,  # one is enough: it reaches every output
        above=True,
        local=True,
        meaning="it holds nan or ±inf",
        advice="initialize this parameter again; look for torch.empty without a fill, or a "
        "damaged checkpoint",
        mark=("#7F0000", "*"),
    ),
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's output that is nan or ±inf",
        measure=nonfinite_signal,
        threshold=0.0,
        above=True,
        first_only=True,
        meaning="its output is the first to hold nan or ±inf",
        advice="the signal overflows here: smaller weights, or a normalization before this layer",
        mark=("#7F0000", "*"),
    ),
    Rule(
        verdict="nonfinite",
        quantity="share of the gradient with respect to the layer's output that is nan or ±inf",
        measure=nonfinite_gradient,
        backward=True,
        threshold=0.0,
        above=True,
        first_only=True,
        meaning="its gradient is the first to hold nan or ±inf",
        advice="the gradient overflows: smaller weights in the layers after it, or a loss that "
        "is finite for this output",
        mark=("#7F0000", "*"),
    ),
)
