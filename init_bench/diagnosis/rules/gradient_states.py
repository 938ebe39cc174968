"""List the verdict rules about what learns: weights without a gradient, a loss above chance."""

from init_bench.diagnosis.evidence.chance import FAR, HOPELESS
from init_bench.diagnosis.measures.gradient_states import (
    cut_off,
    floor_of_probabilities,
    ignored,
    ignored_output,
    loss_over_chance,
    loss_over_chance_by_bias,
    mass_of_no_probabilities,
    nonfinite_weight_gradient,
    nothing_learns,
    output_without_gradient,
    stuck,
    zero_factors,
)
from init_bench.diagnosis.rules.rule import too_large

OPEN = (
    "of two factors that are both 0 draw one at random; where a unit, gate or normalization is "
    "shut, open it (bias 0, weight 1)"
)
"""What helps where a gradient is stuck at zero."""


GRADIENT_STATE_RULES = (
    too_large(
        "nonfinite",
        "share of the layer's weight matrices whose gradient holds nan or ±inf",
        nonfinite_weight_gradient,
        0.0,
        backward=True,
        first_only=True,
        meaning="the gradient of its weights holds nan or ±inf",
        advice="look at the loss: a root, norm, logarithm or division has no derivative at 0, so "
        "add a small number inside; else it overflows: smaller weights, or float32",
    ),
    too_large(
        "vanishing_gradient",
        "share of the samples whose output gets no gradient from the loss, which has the same "
        "value for other outputs",
        ignored_output,
        0.0,
        backward=True,
        meaning="the loss does not depend on the output of the model",
        advice="compute the loss from what the model returns: this one is that of a single class, "
        "of targets that it ignores, of a product with 0, or of the weights alone",
    ),
    too_large(
        "vanishing_gradient",
        "share of the samples whose output gets no gradient from the loss, which has other values "
        "for other outputs",
        output_without_gradient,
        0.0,
        backward=True,
        meaning="the loss depends on the output of the model but has no gradient there",
        advice="look in the loss for detach(), .data or torch.no_grad(), for a step such as "
        "argmax, sign, round or a comparison, and for a clamp or margin that shuts out every "
        "sample; a perfect fit has no gradient either",
    ),
    too_large(
        "vanishing_gradient",
        "share of all trainable parameters whose gradient is exactly 0 or absent",
        nothing_learns,
        0.0,
        backward=True,
        meaning="no gradient comes back from the loss, so nothing learns",
        advice="what comes after this layer is flat: a softmax over a single value (sigmoid is "
        "its like), a ReLU or clamp that is shut for every sample, a rounding",
    ),
    too_large(
        "vanishing_gradient",
        "share of the layer's trainable weight matrices that no gradient leads to, "
        "although the loss depends on them",
        cut_off,
        0.0,
        backward=True,
        meaning="no gradient leads to its weights, although the loss depends on them",
        advice="the graph is cut behind it: look for detach(), .data or torch.no_grad() in the "
        "forward, for a re-entrant checkpoint whose inputs need no gradient "
        "(use_reentrant=False), or for a step such as sign, round or argmax; if it shall not "
        "learn, say so with requires_grad_(False)",
    ),
    too_large(
        "vanishing_gradient",
        "share of the layer's trainable weight matrices, all 0, whose gradient is exactly 0 and "
        "stays so while the other weights learn",
        zero_factors,
        0.0,
        local=True,
        backward=True,
        meaning="its weights are 0, and so is their gradient, which stays so: it never learns",
        advice=OPEN,
    ),
    too_large(
        "vanishing_gradient",
        "share of the layer's trainable weight matrices whose gradient is exactly 0 and "
        "stays so while the other weights learn",
        stuck,
        0.0,
        backward=True,
        meaning="its gradient is exactly 0 and stays so: it never learns",
        advice=OPEN,
    ),
    too_large(
        "vanishing_gradient",
        "share of the layer's trainable weight matrices whose gradient is exactly 0 because no "
        "gradient enters the output of the layer, which no other layer shuts off",
        ignored,
        0.0,
        backward=True,
        severity="watch",
        meaning="the loss of these samples does not depend on it",
        advice="normal where samples choose what they use (experts, sizes of a detector): try a "
        "larger batch; else look for a product with 0 or a loss that leaves this output out",
    ),
)
"""For weights that learn nothing, where there is a loss."""


WRONG_INPUT_RULES = (
    too_large(
        "vanishing_gradient",
        "what a cross-entropy cannot fall below that gets probabilities and expects logits",
        floor_of_probabilities,
        0.0,
        severity="watch",
        meaning="the loss gets probabilities and expects logits: little gradient comes back",
        advice="leave out the softmax in front of the cross-entropy",
    ),
    too_large(
        "exploding_signal",
        "sum over the classes of the exponentials of what a negative log-likelihood gets, which "
        "expects log-probabilities (median over samples)",
        mass_of_no_probabilities,
        0.0,
        severity="watch",
        meaning="the loss gets values that are no log-probabilities, and falls as these rise",
        advice="end the model with log_softmax, or give logits to a cross-entropy",
    ),
)
"""For what a loss gets that expects something else."""


LIMITS = {"bad": HOPELESS, "watch": FAR}
"""Of the first loss, by severity."""


FIRST_LOSS_RULES = (
    *(
        too_large(
            "exploding_signal",
            "loss divided by that of constant outputs, where one bias makes it large",
            loss_over_chance_by_bias,
            limit,
            local=True,
            severity=severity,
            meaning="by its bias alone the loss starts far above that of constant outputs",
            advice="fill the bias of this output with 0",
        )
        for severity, limit in LIMITS.items()
    ),
    *(
        too_large(
            "exploding_signal",
            "loss divided by that of constant outputs",
            loss_over_chance,
            limit,
            severity=severity,
            meaning="the loss starts far above that of constant outputs",
            advice="the first steps only undo this output: make the last layer smaller (std 0.02 "
            "or 1/√fan_in; of an embedding that is tied to it, that one), or scale the targets",
        )
        for severity, limit in LIMITS.items()
    ),
)
"""For the first loss, where there is one."""
