"""List the verdict rules about the gradient: it vanishes or explodes on its way back."""

from init_bench.diagnosis.measures.gradients import gradient_left
from init_bench.diagnosis.measures.rows import is_normalized, is_plain
from init_bench.diagnosis.rules.rule import too_large, too_small

GRADIENT_LEFT = "gradient's norm at the first hidden layer divided by that at the last"


EXPLODES_NORMALIZED = 10**4.5
"""Before a normalization gradients may differ more: by up to 10^3.9 in torchvision's models."""


GRADIENT_RULES = (
    too_small(
        "vanishing_gradient",
        GRADIENT_LEFT,
        gradient_left,
        10**-2.74,  # calibration: fitted, widened to 1 % false alarms
        backward=True,
        meaning="almost no gradient is left at the first layers: it shrinks here",
        advice="the first layers learn nothing: draw all weights with std = gain/√fan_in "
        "(he_normal for ReLU), or add residual connections or normalization",
    ),
    too_large(
        "exploding_gradient",
        GRADIENT_LEFT,
        gradient_left,
        10**2.74,  # calibration: fitted, widened to 1 % false alarms
        backward=True,
        where=is_plain,
        meaning="the gradient of the first layers is far above that of the last: it grows here",
        advice="no learning rate suits all layers: smaller weights, scaled residual branches",
    ),
    too_large(
        "exploding_gradient",
        f"{GRADIENT_LEFT}, in a normalized network",
        gradient_left,
        EXPLODES_NORMALIZED,
        backward=True,
        where=is_normalized,
        meaning="the gradient of the first layers is far above that of the last: it grows here",
        advice="fewer layers between shortcuts, or a larger batch",
    ),
    too_large(
        "exploding_gradient",
        f"{GRADIENT_LEFT}, in a normalized network",
        gradient_left,
        10**2.0,
        backward=True,
        severity="watch",
        where=is_normalized,
        meaning="its gradient grows with depth",
        advice="normalization hides it in the forward pass, but the gradient grows with depth: "
        "warm the learning rate up; without shortcuts, use fewer layers",
    ),
)
