"""List the verdict rules about the signal: it vanishes, explodes, or is alike for all samples."""

from init_bench.diagnosis.measures.signal import (
    SMALL_HEAD,
    drowned,
    factor_per_layer,
    least_signal_left,
    left_by_few_layers,
    most_signal_left,
    nonlinearity_factor,
    norm_scale,
    output_spread,
    output_spread_without_small_head,
    sample_share,
)
from init_bench.diagnosis.rules.rule import too_large, too_small

SIGNAL_LEFT = "sample_std of this and all later layers divided by that of the first hidden one"


OUTPUT_SPREAD = "sample_std of the output, a tensor (samples, classes) that goes into a loss"


LAYER_SIGNAL_RULES = (
    too_small(
        "vanishing_signal",
        "√(mean weight²) of a normalization that lets no signal or no gradient through",
        norm_scale,
        0.02,  # as weights that multiply; torch.default has 1
        local=True,
        meaning="its weights are {size}",
        advice="this normalization multiplies all by its weight, about 0: fill it with 1; 0 is "
        "sound only as the last of a residual branch",
    ),
    too_small(
        "vanishing_signal",
        "sample_std after the nonlinearity divided by sample_std before it",
        nonlinearity_factor,
        0.005,  # a sound sigmoid has 0.2, one that saturates at N(0, 10²) 0.05
        local=True,
        meaning="its input lies where the nonlinearity is flat",
        advice="the input of this nonlinearity lies where it is flat: check the bias and the "
        "scale of the layer before",
    ),
)
"""For what one layer does to the signal."""


DEPTH_SIGNAL_RULES = (
    too_small(
        "collapsed",
        "sample_std divided by √(mean z²), the share of the signal that depends on the "
        "sample, in this and all later layers",
        sample_share,
        6e-4,  # calibration: 5 of 423 networks that trained are below
        first_only=True,
        meaning="from here on all samples give almost the same values",
        advice="all samples look alike from here on: draw the weights before it with std = "
        "gain/√fan_in (he_normal for ReLU) and biases 0, or take a nonlinearity centered at 0 or a "
        "normalization",
    ),
    too_small(
        "vanishing_signal",
        SIGNAL_LEFT,
        most_signal_left,
        1e-3,  # calibration: 2 of 423 networks that trained are below
        first_only=True,
        meaning="the signal has almost vanished here",
        advice="each layer loses some: draw all weights with std = gain/√fan_in (he_normal for "
        "ReLU), or add residual connections or normalization",
    ),
    too_large(
        "exploding_signal",
        SIGNAL_LEFT,
        least_signal_left,
        1e3,  # calibration: no network that trained is above
        first_only=True,
        meaning="the signal has exploded here",
        advice="each layer adds some: smaller weights, scaled residual branches (1/√depth) or "
        "normalization",
    ),
    too_small(
        "vanishing_signal",
        f"{OUTPUT_SPREAD}; where the gain of the last layer is below {SMALL_HEAD:g} of the median "
        "of the others, divided by that share",
        output_spread_without_small_head,
        10**-5.40,  # calibration: fitted to the output itself, widened to 1 % false alarms
        meaning="the output is almost the same for all samples",
        advice="all samples get the same answer, and the gradient of the layers before is as "
        "small: draw the weights of every layer with std = gain/√fan_in (he_normal for ReLU), the "
        "last with gain 1 (lecun_normal)",
    ),
    too_large(
        "exploding_signal",
        OUTPUT_SPREAD,
        output_spread,
        10**2.53,  # calibration: fitted, widened to 1 % false alarms
        meaning="the output is {size}",
        advice="the loss starts far above chance and its first steps destroy the weights: a "
        "smaller last layer (lecun_normal), all weights with std = gain/√fan_in (he_normal for "
        "ReLU)",
    ),
)
"""For what builds up over depth."""


DROWNED = 10.0
"""Limit of ``drowned``: 16 sound networks have at most 2.3; in a transformer on images and one on
tokens with 7 to 12, after 150 steps the loss was 3 times that of the sound one or more."""


SHRINKING_SIGNAL_RULES = (
    too_large(
        "collapsed",
        "factor by which the std grows in the layer or behind it, where sample_std stays the same",
        drowned,
        DROWNED,
        severity="watch",
        meaning="a constant added in it or behind it drowns what depends on the sample",
        advice="make what is added no larger than the signal: a position embedding has std 0.02, "
        "or that of what it is added to",
    ),
    too_small(
        "vanishing_signal",
        "sample_std of the last of two or three hidden layers divided by that of the first",
        left_by_few_layers,
        0.05,  # lecun_normal with ReLU has 0.4, torch.default 0.3
        severity="watch",
        meaning="few layers lose most of the signal",
        advice="it learns slowly, and at few rates: draw all weights with std = gain/√fan_in "
        "(he_normal for ReLU)",
    ),
    too_small(
        "vanishing_signal",
        "factor by which sample_std changes per layer, geometric mean of all but the smallest",
        factor_per_layer,
        0.8,  # he_normal with ReLU has 0.9 to 1.1, lecun_normal 0.6 to 0.75
        severity="watch",
        meaning="the signal shrinks from layer to layer",
        advice="the activations shrink from layer to layer: it works at this depth, twice the "
        "depth may not; weights with std = gain/√fan_in keep them level",
    ),
)
"""Apart, as it comes after the rules about gradients: the signal shrinks but is still enough."""
