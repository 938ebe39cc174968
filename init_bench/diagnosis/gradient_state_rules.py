"""List the verdict rules about what learns: parameters without a gradient, what costs steps."""

from init_bench.diagnosis import gradient_state_measures as measures
from init_bench.diagnosis.evidence.chance import FAR
from init_bench.diagnosis.rule import Rule
from init_bench.diagnosis.use_measures import undone_weight_gain

LARGE, SMALL = 12.0, 0.02
"""Limits of √(fan_in · mean W²): torch.default × 30 has 17, normal(std=1) with fan_in 100 has 10;
he_normal × 0.01 has 0.014; by default GPT-2 XL has 0.08, Inception 0.028."""


LEARNING_RULES: tuple[Rule, ...] = (
    Rule(
        verdict="nonfinite",
        quantity="share of the layer's weight matrices whose gradient holds nan or ±inf",
        measure=measures.nonfinite_weight_gradient,
        backward=True,
        threshold=0.0,
        above=True,
        first_only=True,
        meaning="the gradient of its weights holds nan or ±inf",
        advice="look at the loss: a root, norm, logarithm or division has no derivative at 0, so "
        "add a small number inside; else it overflows: smaller weights, or float32",
        mark=("#7F0000", "*"),
    ),
    Rule(
        verdict="vanishing_gradient",
        quantity="share of the layer's trainable weight matrices that no gradient leads to, "
        "although the loss depends on them",
        measure=measures.cut_off,
        backward=True,
        threshold=0.0,
        above=True,
        meaning="no gradient leads to its weights, although the loss depends on them",
        advice="the graph is cut behind it: look for detach(), .data or torch.no_grad() in the "
        "forward, or for a re-entrant checkpoint whose inputs need no gradient "
        "(use_reentrant=False); if it shall not learn, say so with requires_grad_(False)",
        mark=("#0072B2", "<"),
    ),
    Rule(
        verdict="vanishing_gradient",
        quantity="share of the layer's trainable weight matrices whose gradient is exactly 0 and "
        "stays so while the other weights learn",
        measure=measures.stuck,
        backward=True,
        threshold=0.0,
        above=True,
        meaning="its gradient is exactly 0 and stays so: it never learns",
        advice="of two factors that are both 0 draw one at random; where a unit, gate or "
        "normalisation is shut, open it (bias 0, weight 1)",
        mark=("#0072B2", "<"),
    ),
    Rule(
        verdict="exploding_signal",
        quantity="√(fan_in · mean W²), by which the weights multiply the signal, in front of a "
        "normalisation",
        measure=undone_weight_gain,
        threshold=LARGE,
        above=True,
        local=True,
        severity="watch",
        meaning="its weights are {size}, which the normalisation behind it undoes",
        advice="the layer learns slower the larger its weights are (its rate goes with 1/‖W‖²): "
        "std = gain/√fan_in",
        mark=("#D55E00", "^"),
    ),
    Rule(
        verdict="vanishing_signal",
        quantity="√(fan_in · mean W²), by which the weights multiply the signal, undone behind "
        "the layer",
        measure=undone_weight_gain,
        threshold=SMALL,
        above=False,
        local=True,
        severity="watch",
        meaning="its weights are {size}, which a normalisation or a way around it undoes",
        advice="it trains, but the smaller its weights are the larger are its first steps (its "
        "rate goes with 1/‖W‖² behind a normalisation): std = gain/√fan_in, or a smaller rate",
        mark=("#0072B2", "v"),
    ),
    Rule(
        verdict="exploding_signal",
        quantity="loss divided by that of constant outputs",
        measure=measures.loss_over_chance,
        threshold=FAR,
        above=True,
        severity="watch",
        meaning="the loss starts far above that of constant outputs",
        advice="the first steps only undo this output: make the last layer smaller (std 0.02 or "
        "1/√fan_in; of an embedding that is tied to it, that one), or scale the targets",
        mark=("#D55E00", "^"),
    ),
)
"""Those about gradients and the loss apply where there is a loss."""
