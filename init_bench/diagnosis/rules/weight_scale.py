"""List the verdict rules about the scale of a layer's weights: met by later layers, or undone."""

from init_bench.diagnosis.measures.weight_use import undone_weight_gain, weight_gain
from init_bench.diagnosis.rules.rule import too_large, too_small

WEIGHT_GAIN = "√(fan_in · mean W²), by which the weights multiply the signal"


LARGE, SMALL = 12.0, 0.02
"""Limits of √(fan_in · mean W²): torch.default × 30 has 17, normal(std=1) with fan_in 100 has 10;
he_normal × 0.01 has 0.014; by default GPT-2 XL has 0.08, Inception 0.028."""


WEIGHT_SCALE_RULES = (
    too_large(
        "exploding_signal",
        WEIGHT_GAIN,
        weight_gain,
        LARGE,
        local=True,
        meaning="its weights are {size}",
        advice="divide these weights: std = gain/√fan_in, such as he_normal before a ReLU, "
        "lecun_normal for a last layer",
    ),
    too_small(
        "vanishing_signal",
        WEIGHT_GAIN,
        weight_gain,
        SMALL,
        local=True,
        meaning="its weights are {size}",
        advice="these weights are too small for their fan_in: std = gain/√fan_in, such as "
        "he_normal before a ReLU, lecun_normal for a last layer; all zero is sound only at the end "
        "of a residual branch",
    ),
)
"""For weights whose scale later layers meet."""


UNDONE_SCALE_RULES = (
    too_large(
        "exploding_signal",
        f"{WEIGHT_GAIN}, in front of a normalization",
        undone_weight_gain,
        LARGE,
        local=True,
        severity="watch",
        meaning="its weights are {size}, which the normalization behind it undoes",
        advice="the layer learns slower the larger its weights are (its rate goes with 1/‖W‖²): "
        "std = gain/√fan_in",
    ),
    too_small(
        "vanishing_signal",
        "√(fan_in · mean W²), by which the weights multiply the signal, undone behind the layer",
        undone_weight_gain,
        SMALL,
        local=True,
        severity="watch",
        meaning="its weights are {size}, which a normalization or a way around it undoes",
        advice="it trains, but the smaller its weights are the larger are its first steps (its "
        "rate goes with 1/‖W‖² behind a normalization): std = gain/√fan_in, or a smaller rate",
    ),
)
"""For weights whose scale a normalization or a way around them undoes."""
