"""List the verdict rules about units: equal, dead, all on one side of 0, saturated.

And about attention that picks one key.
"""

from init_bench.diagnosis.measures.units import (
    SATURATED,
    THROUGHOUT,
    dead_share,
    distinct_share,
    gate_opening,
    one_sided_share,
    saturated_share,
    saturated_throughout,
)
from init_bench.diagnosis.measures.weight_use import largest_attention
from init_bench.diagnosis.rules.rule import too_large, too_small

LESS_SATURATED = (
    "the slope is near 0 there: a nonlinearity without bounds, or smaller weights: for tanh "
    "xavier_normal, for sigmoid not below the recommended std"
)
"""Advice: with Xavier's weights a deep network of sigmoids learns at no rate."""


OPENING = (
    "share of a constant signal that a gate of an LSTM, GRU or GLU lets through, mean over units"
)


OPEN_GATE = "the slope of the gate is near 0 as well: bias 0"
"""Advice; a finding names gate and bias."""


UNIT_RULES = (
    too_small(
        "symmetric",
        "share of the layer's units whose incoming weights are different",
        distinct_share,
        0.5,  # random rows are never equal: anything at or below half was written so
        local=True,
        meaning="its units have equal weights",
        advice="equal units get equal updates and stay one unit: draw these weights at random",
    ),
    too_large(
        "dead_units",
        "share of the layer's units that are constant over the samples after the "
        "nonlinearity, and were not before it",
        dead_share,
        0.9,  # calibration: no network that trained is above
        local=True,
        meaning="its units are constant over the samples",
        advice="the units are below 0 for every sample: bias 0, or a leaky nonlinearity",
    ),
    too_large(
        "one_sided",
        "share of the values on one side of 0, in a nonlinearity that is linear on either side",
        one_sided_share,
        0.99,  # a Gaussian input has it where its mean is 2.3 times its std
        severity="watch",
        meaning="the nonlinearity behind it is linear: nearly all its values are on one side of 0",
        advice="two layers are then no more than one: bias 0, inputs centered at 0, weights drawn "
        "around 0",
    ),
    too_large(
        "saturated",
        "share of activations closer to an end of the range than 5 % of its width, where it is "
        f"above {THROUGHOUT:g} on average over all nonlinearities (without bounds: 0)",
        saturated_throughout,
        SATURATED,
        meaning="its values lie at the ends of the nonlinearity's range",
        advice=LESS_SATURATED,
    ),
    too_large(
        "saturated",
        "share of activations closer to an end of the range than 5 % of its width",
        saturated_share,
        SATURATED,
        severity="watch",
        meaning="its values lie at the ends of the nonlinearity's range; most of the bounded "
        "layers' do not",
        advice=LESS_SATURATED,
    ),
    too_small(
        "vanishing_signal",
        OPENING,
        gate_opening,
        0.005,  # as of a gate that is written out
        local=True,
        meaning="a gate inside it is shut",
        advice=OPEN_GATE,
    ),
    too_small(
        "saturated",
        OPENING,
        gate_opening,
        0.05,  # as of a gate that is written out
        local=True,
        severity="watch",
        meaning="a gate inside it is nearly shut",
        advice=OPEN_GATE,
    ),
    too_large(
        "saturated",
        "mean over queries of the largest attention weight",
        largest_attention,
        0.8,  # equal weights of n keys have 1/n; at torch's default it is near that
        severity="watch",
        meaning="its attention picks one key each: no gradient comes through its softmax",
        advice="smaller query and key weights, or logits divided by √d",
    ),
)
