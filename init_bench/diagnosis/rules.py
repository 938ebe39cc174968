"""Verdicts as data: what can be wrong with a network at step 0, and what usually helps.

A rule is data: what it measures (``measure``), the threshold and the side of it that is bad, and
the advice. Thresholds are decisions; what each rests on stands beside it. "Calibration" is
``python -m benchmarks.verdicts`` (``benchmarks/results/verdicts.csv``), its training part;
"fault localization" is ``python -m benchmarks.fault_localization``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from init_bench.diagnosis import measures
from init_bench.diagnosis.evidence.collection import Evidence


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One way to be wrong.

    Attributes:
        verdict: its name.
        quantity: the definition of what is measured.
        measure: returns ``layer``, ``index`` and ``value`` of what there is to judge.
        threshold: where bad begins.
        above: whether bad is above the threshold; else below.
        local: whether the value is the layer's own doing, whatever reaches it.
        backward: whether it runs from the loss back: it follows from faults behind it.
        first_only: report the first layer that crosses alone: the rest only follows.
        severity: ``bad``, or ``watch`` for what works at this depth and will not at a greater.
        where: says of which networks it speaks.
        advice: what usually helps.
    """

    verdict: str
    quantity: str
    measure: Callable[[Evidence], pd.DataFrame]
    threshold: float
    above: bool
    advice: str
    local: bool = False
    backward: bool = False
    first_only: bool = False
    severity: str = "bad"
    where: Callable[[Evidence], bool] = measures.always

    def measured(self, evidence: Evidence) -> pd.DataFrame:
        """Return ``layer``, ``index`` and ``value`` of what there is to judge."""
        return self.measure(evidence) if self.where(evidence) else measures.NOTHING

    def crossed(self, evidence: Evidence) -> pd.DataFrame:
        """Return the layers on the bad side: ``layer``, ``index``, ``value``, in order."""
        found = self.measured(evidence)
        bad = found["value"] > self.threshold if self.above else found["value"] < self.threshold
        found = found[bad].sort_values("index", kind="stable").drop_duplicates("layer")
        return found.head(1) if self.first_only else found


GRADIENT_LEFT = "gradient's norm at the first hidden layer / at the last"


OUTPUT_SPREAD = "sample_std of the output, (samples, classes) in front of a loss"
"""Quantities that several rules judge."""


EXPLODES_NORMALISED = 10**4.5
"""Before a normalisation the scale of weights does nothing and gradients may differ more: by up to
10^3.9 in torchvision's models (its Faster R-CNN), by 10^3.7 in its ResNet-152 on four
images of 64²."""


RULES: tuple[Rule, ...] = (
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's parameters that are nan or ±inf",
        measure=measures.nonfinite_weights,
        threshold=0.0,  # one is enough: it reaches every output
        above=True,
        local=True,
        advice="initialise this parameter again; look for torch.empty without a fill, or a "
        "damaged checkpoint",
    ),
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's output that is nan or ±inf",
        measure=measures.nonfinite_signal,
        threshold=0.0,
        above=True,
        first_only=True,
        advice="the signal overflows here: smaller weights, or a normalisation before this layer",
    ),
    Rule(
        verdict="nonfinite",
        quantity="share of the gradient with respect to the layer's output that is nan or ±inf",
        measure=measures.nonfinite_gradient,
        backward=True,
        threshold=0.0,
        above=True,
        first_only=True,
        advice="the gradient overflows: smaller weights in the layers behind, or a loss that is "
        "finite for this output",
    ),
    Rule(
        verdict="exploding_signal",
        quantity="√(fan_in · mean W²), by which the weights multiply the signal",
        measure=measures.weight_gain,
        threshold=12.0,  # torch.default × 30 has 17, normal(std=1) with fan_in 100 has 10
        above=True,
        local=True,
        advice="divide these weights: std = gain/√fan_in, such as he_normal before a ReLU",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="√(fan_in · mean W²), by which the weights multiply the signal",
        measure=measures.weight_gain,
        threshold=0.02,  # he_normal × 0.01 has 0.014; by default GPT-2 XL 0.08, Inception 0.028
        above=False,
        local=True,
        advice="these weights are too small for their fan_in: std = gain/√fan_in, such as "
        "he_normal before a ReLU; all zero is sound only at the end of a residual branch",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="√(mean weight²) of a normalisation that no signal or no gradient passes",
        measure=measures.norm_scale,
        threshold=0.02,  # as weights that multiply; torch.default has 1
        above=False,
        local=True,
        advice="this normalisation multiplies all by its weight, about 0: fill it with 1; 0 is "
        "sound only as the last of a residual branch",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="sample_std behind the nonlinearity / sample_std before it",
        measure=measures.nonlinearity_factor,
        threshold=0.005,  # a sound sigmoid has 0.2, one that saturates at N(0, 10²) 0.05
        above=False,
        local=True,
        advice="what reaches this nonlinearity lies where it is flat: look at the bias and the "
        "scale of the layer before",
    ),
    Rule(
        verdict="symmetric",
        quantity="share of the layer's units whose incoming weights are different",
        measure=measures.distinct_share,
        threshold=0.5,  # random rows are never equal: anything at or below half was written so
        above=False,
        local=True,
        advice="equal units get equal updates and stay one unit: draw these weights at random",
    ),
    Rule(
        verdict="dead_units",
        quantity="share of the layer's units that are constant over the samples once through "
        "the nonlinearity, and were not before",
        measure=measures.dead_share,
        threshold=0.9,  # calibration: no network that trained is above
        above=True,
        local=True,
        advice="the units are below 0 for every sample: bias 0, or a leaky nonlinearity",
    ),
    Rule(
        verdict="saturated",
        quantity="share of activations within 5 % of the range's width of an end of the range",
        measure=measures.saturated_share,
        threshold=0.5,  # calibration: 3 of 423 networks that trained are above
        above=True,
        advice="the slope is near 0 there: smaller weights, such as xavier_normal, or a "
        "nonlinearity without bounds",
    ),
    Rule(
        verdict="collapsed",
        quantity="sample_std / √(mean z²), the share of the signal that depends on the sample, in "
        "this and all later layers",
        measure=measures.sample_share,
        threshold=6e-4,  # calibration: 5 of 423 networks that trained are below
        above=False,
        first_only=True,
        advice="all samples look alike from here on: weights for this nonlinearity's gain "
        "(he_normal for ReLU), biases 0, a nonlinearity centred at 0, or a normalisation",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="sample_std of this and all later layers / of the first hidden one",
        measure=measures.most_signal_left,
        threshold=1e-3,  # calibration: 2 of 423 networks that trained are below
        above=False,
        first_only=True,
        advice="each layer loses some: weights for this nonlinearity's gain (he_normal for "
        "ReLU), residual connections or normalisation",
    ),
    Rule(
        verdict="exploding_signal",
        quantity="sample_std of this and all later layers / of the first hidden one",
        measure=measures.least_signal_left,
        threshold=1e3,  # calibration: no network that trained is above
        above=True,
        first_only=True,
        advice="each layer adds some: smaller weights, scaled residual branches (1/√depth) or "
        "normalisation",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity=OUTPUT_SPREAD,
        measure=measures.output_spread,
        threshold=10**-5.40,  # calibration: fitted, widened to 1 % false alarms
        above=False,
        advice="all samples get the same answer, and the gradient of what is in front is as "
        "small: weights for this nonlinearity's gain in every layer, the last included",
    ),
    Rule(
        verdict="exploding_signal",
        quantity=OUTPUT_SPREAD,
        measure=measures.output_spread,
        threshold=10**2.53,  # calibration: fitted, widened to 1 % false alarms
        above=True,
        advice="the loss starts far above chance and its first steps destroy the weights: a "
        "smaller last layer, weights for this nonlinearity's gain",
    ),
    Rule(
        verdict="vanishing_gradient",
        quantity=GRADIENT_LEFT,
        measure=measures.gradient_left,
        backward=True,
        threshold=10**-2.74,  # calibration: fitted, widened to 1 % false alarms
        above=False,
        advice="the first layers learn nothing: weights for this nonlinearity's gain, residual "
        "connections or normalisation",
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=GRADIENT_LEFT,
        measure=measures.gradient_left,
        backward=True,
        threshold=10**2.74,  # calibration: fitted, widened to 1 % false alarms
        above=True,
        where=measures.is_plain,
        advice="no learning rate suits all layers: smaller weights, scaled residual branches",
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=f"{GRADIENT_LEFT}, in a normalised network",
        measure=measures.gradient_left,
        backward=True,
        threshold=EXPLODES_NORMALISED,
        above=True,
        where=measures.is_normalised,
        advice="fewer layers between shortcuts, or a larger batch",
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=f"{GRADIENT_LEFT}, in a normalised network",
        measure=measures.gradient_left,
        backward=True,
        threshold=10**2.0,
        above=True,
        severity="watch",
        where=measures.is_normalised,
        advice="normalisation hides it forwards, the gradient still grows with depth: warm the "
        "learning rate up; without shortcuts, fewer layers",
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="factor by which sample_std changes per layer, geometric mean",
        measure=measures.factor_per_layer,
        threshold=0.8,  # he_normal with ReLU has 0.9 to 1.1, lecun_normal 0.6 to 0.75
        above=False,
        severity="watch",
        advice="the activations shrink from layer to layer: it works at this depth, twice the "
        "depth may not; he_normal before a ReLU keeps them level",
    ),
)
"""Local rules first, then those on what has come together over depth."""


BAD = tuple(dict.fromkeys(rule.verdict for rule in RULES))
"""The names of the verdicts, ``healthy`` apart."""
