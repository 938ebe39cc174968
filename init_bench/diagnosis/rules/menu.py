"""List the verdict rules of ``diagnose``: quantity, limit, what it means and what helps.

A rule is one record. ``register_rule`` adds another one: the tables, the printed report, the JSON
and the figure then show it. Thresholds are decisions; what each rests on stands beside it.
"Calibration" is ``python -m benchmarks.verdicts`` (``benchmarks/results/verdicts.csv``), its
training part; "placing" is ``python -m benchmarks.fault_localization``.
"""

from init_bench.diagnosis import measures
from init_bench.diagnosis.rules.gradient_states import FIRST_LOSS_RULE, GRADIENT_STATE_RULES
from init_bench.diagnosis.rules.rule import Rule
from init_bench.diagnosis.rules.weight_scale import UNDONE_SCALE_RULES, WEIGHT_SCALE_RULES
from init_bench.diagnosis.use_measures import largest_attention
from init_bench.errors import InitBenchError

GRADIENT_LEFT = "gradient's norm at the first hidden layer divided by that at the last"
OUTPUT_SPREAD = "sample_std of the output, a tensor (samples, classes) that goes into a loss"


EXPLODES_NORMALIZED = 10**4.5
"""Before a normalization gradients may differ more: by up to 10^3.9 in torchvision's models."""


RULES: list[Rule] = [
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's parameters that are nan or ±inf",
        measure=measures.nonfinite_weights,
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
        measure=measures.nonfinite_signal,
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
        measure=measures.nonfinite_gradient,
        backward=True,
        threshold=0.0,
        above=True,
        first_only=True,
        meaning="its gradient is the first to hold nan or ±inf",
        advice="the gradient overflows: smaller weights in the layers after it, or a loss that "
        "is finite for this output",
        mark=("#7F0000", "*"),
    ),
    *WEIGHT_SCALE_RULES,
    Rule(
        verdict="vanishing_signal",
        quantity="√(mean weight²) of a normalization that lets no signal or no gradient through",
        measure=measures.norm_scale,
        threshold=0.02,  # as weights that multiply; torch.default has 1
        above=False,
        local=True,
        meaning="its weights are {size}",
        advice="this normalization multiplies all by its weight, about 0: fill it with 1; 0 is "
        "sound only as the last of a residual branch",
        mark=("#0072B2", "v"),
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="sample_std after the nonlinearity divided by sample_std before it",
        measure=measures.nonlinearity_factor,
        threshold=0.005,  # a sound sigmoid has 0.2, one that saturates at N(0, 10²) 0.05
        above=False,
        local=True,
        meaning="its input lies where the nonlinearity is flat",
        advice="the input of this nonlinearity lies where it is flat: check the bias and the "
        "scale of the layer before",
        mark=("#0072B2", "v"),
    ),
    Rule(
        verdict="symmetric",
        quantity="share of the layer's units whose incoming weights are different",
        measure=measures.distinct_share,
        threshold=0.5,  # random rows are never equal: anything at or below half was written so
        above=False,
        local=True,
        meaning="its units have equal weights",
        advice="equal units get equal updates and stay one unit: draw these weights at random",
        mark=("#CC79A7", "P"),
    ),
    Rule(
        verdict="dead_units",
        quantity="share of the layer's units that are constant over the samples after the "
        "nonlinearity, and were not before it",
        measure=measures.dead_share,
        threshold=0.9,  # calibration: no network that trained is above
        above=True,
        local=True,
        meaning="its units are constant over the samples",
        advice="the units are below 0 for every sample: bias 0, or a leaky nonlinearity",
        mark=("#000000", "X"),
    ),
    Rule(
        verdict="saturated",
        quantity="share of activations closer to an end of the range than 5 % of its width",
        measure=measures.saturated_share,
        threshold=0.5,  # calibration: 3 of 423 networks that trained are above
        above=True,
        meaning="its values lie at the ends of the nonlinearity's range",
        advice="the slope is near 0 there: smaller weights, such as xavier_normal, or a "
        "nonlinearity without bounds",
        mark=("#E69F00", "s"),
    ),
    Rule(
        verdict="saturated",
        quantity="mean over queries of the largest attention weight",
        measure=largest_attention,
        threshold=0.8,  # equal weights of n keys have 1/n; at torch's default it is near that
        above=True,
        severity="watch",
        meaning="its attention picks one key each: no gradient comes through its softmax",
        advice="smaller query and key weights, or logits divided by √d",
        mark=("#E69F00", "s"),
    ),
    Rule(
        verdict="collapsed",
        quantity="sample_std divided by √(mean z²), the share of the signal that depends on the "
        "sample, in this and all later layers",
        measure=measures.sample_share,
        threshold=6e-4,  # calibration: 5 of 423 networks that trained are below
        above=False,
        first_only=True,
        meaning="from here on all samples give almost the same values",
        advice="all samples look alike from here on: draw the weights before it with std = "
        "gain/√fan_in (he_normal for ReLU) and biases 0, or take a nonlinearity centered at 0 or a "
        "normalization",
        mark=("#56B4E9", "D"),
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="sample_std of this and all later layers divided by that of the first hidden one",
        measure=measures.most_signal_left,
        threshold=1e-3,  # calibration: 2 of 423 networks that trained are below
        above=False,
        first_only=True,
        meaning="the signal has almost vanished here",
        advice="each layer loses some: draw all weights with std = gain/√fan_in (he_normal for "
        "ReLU), or add residual connections or normalization",
        mark=("#0072B2", "v"),
    ),
    Rule(
        verdict="exploding_signal",
        quantity="sample_std of this and all later layers divided by that of the first hidden one",
        measure=measures.least_signal_left,
        threshold=1e3,  # calibration: no network that trained is above
        above=True,
        first_only=True,
        meaning="the signal has exploded here",
        advice="each layer adds some: smaller weights, scaled residual branches (1/√depth) or "
        "normalization",
        mark=("#D55E00", "^"),
    ),
    Rule(
        verdict="vanishing_signal",
        quantity=OUTPUT_SPREAD,
        measure=measures.output_spread,
        threshold=10**-5.40,  # calibration: fitted, widened to 1 % false alarms
        above=False,
        meaning="the output is almost the same for all samples",
        advice="all samples get the same answer, and the gradient of the layers before is as "
        "small: draw the weights of every layer with std = gain/√fan_in (he_normal for ReLU), the "
        "last included",
        mark=("#0072B2", "v"),
    ),
    Rule(
        verdict="exploding_signal",
        quantity=OUTPUT_SPREAD,
        measure=measures.output_spread,
        threshold=10**2.53,  # calibration: fitted, widened to 1 % false alarms
        above=True,
        meaning="the output is {size}",
        advice="the loss starts far above chance and its first steps destroy the weights: a "
        "smaller last layer, all weights with std = gain/√fan_in (he_normal for ReLU)",
        mark=("#D55E00", "^"),
    ),
    Rule(
        verdict="vanishing_gradient",
        quantity=GRADIENT_LEFT,
        measure=measures.gradient_left,
        backward=True,
        threshold=10**-2.74,  # calibration: fitted, widened to 1 % false alarms
        above=False,
        meaning="almost no gradient reaches it",
        advice="the first layers learn nothing: draw all weights with std = gain/√fan_in "
        "(he_normal for ReLU), or add residual connections or normalization",
        mark=("#0072B2", "<"),
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=GRADIENT_LEFT,
        measure=measures.gradient_left,
        backward=True,
        threshold=10**2.74,  # calibration: fitted, widened to 1 % false alarms
        above=True,
        where=measures.is_plain,
        meaning="its gradient is far larger than that of the last layer",
        advice="no learning rate suits all layers: smaller weights, scaled residual branches",
        mark=("#D55E00", ">"),
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=f"{GRADIENT_LEFT}, in a normalized network",
        measure=measures.gradient_left,
        backward=True,
        threshold=EXPLODES_NORMALIZED,
        above=True,
        where=measures.is_normalized,
        meaning="its gradient is far larger than that of the last layer",
        advice="fewer layers between shortcuts, or a larger batch",
        mark=("#D55E00", ">"),
    ),
    Rule(
        verdict="exploding_gradient",
        quantity=f"{GRADIENT_LEFT}, in a normalized network",
        measure=measures.gradient_left,
        backward=True,
        threshold=10**2.0,
        above=True,
        severity="watch",
        where=measures.is_normalized,
        meaning="its gradient grows with depth",
        advice="normalization hides it in the forward pass, but the gradient grows with depth: "
        "warm the learning rate up; without shortcuts, use fewer layers",
        mark=("#D55E00", ">"),
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="factor by which sample_std changes per layer, geometric mean",
        measure=measures.factor_per_layer,
        threshold=0.8,  # he_normal with ReLU has 0.9 to 1.1, lecun_normal 0.6 to 0.75
        above=False,
        severity="watch",
        meaning="the signal shrinks from layer to layer",
        advice="the activations shrink from layer to layer: it works at this depth, twice the "
        "depth may not; he_normal before a ReLU keeps them level",
        mark=("#0072B2", "v"),
    ),
    *GRADIENT_STATE_RULES,
    *UNDONE_SCALE_RULES,
    FIRST_LOSS_RULE,
]
"""Local rules first, then those about what builds up over depth."""


def register_rule(rule: Rule) -> None:
    """Add a verdict rule to those that ``diagnose`` applies.

    Raises:
        InitBenchError: a rule of the same verdict and severity measures the same quantity.
    """
    names = [(known.verdict, known.severity, known.quantity) for known in RULES]
    if (rule.verdict, rule.severity, rule.quantity) in names:
        raise InitBenchError(
            f"a rule {rule.verdict!r} of {rule.quantity!r} is registered already; give this one "
            f"another quantity, or remove the other from RULES"
        )
    RULES.append(rule)


def verdict_names() -> tuple[str, ...]:
    """Return the names of all verdicts, ``healthy`` apart."""
    return tuple(dict.fromkeys(rule.verdict for rule in RULES))


def verdict_marks() -> dict[str, tuple[str, str]]:
    """Return color and marker of each verdict: those of its first rule."""
    return {rule.verdict: rule.mark for rule in reversed(RULES)}
