"""Remark on what verdicts do not cover: what was not judged, what is not the weights' fault."""

import math
from collections.abc import Iterator, Mapping

import pandas as pd
import torch
from torch import nn

from init_bench.diagnosis.evidence.chance import FAR as FAR_ABOVE_CHANCE
from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.evidence.gradient_states import ARRIVES
from init_bench.diagnosis.evidence.layers import head_of_loss
from init_bench.diagnosis.phrases import factor_span, listed, three_digits
from init_bench.diagnosis.rules.gradient_states import FIRST_LOSS_RULES
from init_bench.diagnosis.rules.gradients import GRADIENT_RULES
from init_bench.diagnosis.rules.signal import DEPTH_SIGNAL_RULES
from init_bench.diagnosis.rules.units import UNIT_RULES
from init_bench.diagnosis.rules.weight_scale import WEIGHT_SCALE_RULES
from init_bench.words import counted

AFTER_TRAINING = (
    "after step 0 verdicts judge only signal and gradients, by limits calibrated at step 0: read "
    "them with care"
)


FAR = 3.0
"""A std that differs by this factor from the recommended one is counted beside the findings."""


OF_SCALE = {
    rule.quantity
    for rule in (*WEIGHT_SCALE_RULES, *DEPTH_SIGNAL_RULES, *GRADIENT_RULES, *UNIT_RULES)
    if rule.verdict not in ("symmetric", "dead_units")
}
"""Findings that the scale of weights may explain: beside others it is not counted."""


LOSS_ROSE = 0.5
"""A rise by this share of the loss at step 0 is reported: the learning rate is too large."""


MOST_NAMED = 4
"""Parameters that a remark names; all are in ``.weights``."""


FEWEST_VALUES = 16
"""Matrices of fewer values may be equal by chance or on purpose."""


NEVER_ZERO = ("Embedding", "EmbeddingBag", "LSTM", "GRU", "RNN")
"""Layers whose weights are never 0 on purpose."""


TINY = 1e-6
"""A ratio of gradient to weight this small beside the median is rounding, or next to it."""


def remarks_on_frozen(model: nn.Module) -> Iterator[str]:
    """Name weights that are frozen beside a bias that learns: a whole layer may be meant.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = layer.weight.requires_grad_(False)
        >>> list(remarks_on_frozen(layer))
        ['frozen, although the bias of the layer learns: weight; is it meant?']
    """
    frozen = []
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        learns = [name in own and own[name].requires_grad for name in ("weight", "bias")]
        if "weight" in own and learns == [False, True]:
            frozen.append(f"{path}.weight".lstrip("."))
    if frozen:
        named = listed(frozen, MOST_NAMED)
        yield f"frozen, although the bias of the layer learns: {named}; is it meant?"


def remark_on_training(update: torch.optim.Optimizer) -> str:
    """Say how the model was trained between the steps.

    Example:
        >>> remark_on_training(torch.optim.SGD([torch.zeros(1)], lr=0.1))
        'trained with SGD (lr 0.1), each step on all of these inputs'
    """
    rates = dict.fromkeys(f"{group['lr']:g}" for group in update.param_groups if "lr" in group)
    lr = f" (lr {', '.join(rates)})" if rates else ""
    return f"trained with {type(update).__name__}{lr}, each step on all of these inputs"


def remarks_on_steps(
    evidence: Mapping[int, Evidence],
    verdicts: Mapping[int, pd.DataFrame],
    last: int,
    *,
    with_loss: bool,
) -> Iterator[str]:
    """Report what was not judged, parameters that are wrong at any scale, and how training went.

    Args:
        evidence, verdicts: by step.
        last: the step up to which training was asked for.
        with_loss: whether there is a loss.
    """
    end, first = max(evidence), evidence[0].loss
    worst = max(evidence, key=lambda step: evidence[step].loss)
    if not with_loss:
        yield "there is no loss: gradients and the first loss are not judged"
    yield from _no_logits(evidence[0].loss_floor)
    yield from _no_log_probabilities(evidence[0].log_mass)
    yield from _faults(evidence[0].weights)
    bad = verdicts[0].loc[verdicts[0]["severity"] == "bad", "quantity"]
    if bad[verdicts[0]["cause"] == ""].isin(OF_SCALE).any():
        yield from _far_from_recommended(evidence[0].weights)
    if bad.isin([rule.quantity for rule in FIRST_LOSS_RULES]).all():
        yield from _far_above_chance(evidence[0])
    if bad.empty:  # from what is bad, tiny gradients follow
        yield from _tiny_gradients(evidence[0].weights)
    yield from _copies(evidence[0].weights)
    if evidence[worst].loss - first > LOSS_ROSE * abs(first):
        highest = three_digits(evidence[worst].loss)
        yield f"the loss rose from {three_digits(first)} to {highest} at step {worst}"
    if end < last:
        yield f"the loss is not finite at step {end}: training ended there"
    ill = [step for step, table in verdicts.items() if (table["severity"] == "bad").any()]
    if ill and 0 not in ill:
        yield (
            f"healthy at step 0: what is wrong at step {min(ill)} appeared during training; try a "
            "smaller learning rate before you change the weights"
        )
    if end > 0:
        yield AFTER_TRAINING


def _no_logits(loss_floor: float) -> Iterator[str]:
    """Say that a cross-entropy gets probabilities, where it does."""
    if loss_floor > 0:
        yield (
            f"the loss gets probabilities (values from 0 that sum to 1), and a cross-entropy "
            f"expects logits: it cannot fall below {loss_floor:.3g}; leave out the softmax in "
            f"front of it"
        )


def _no_log_probabilities(log_mass: float) -> Iterator[str]:
    """Say that a negative log-likelihood gets other values, such as logits, where it does."""
    if log_mass > 0:
        yield (
            f"the loss gets values whose exponentials sum to {log_mass:.3g} (median over samples), "
            f"and a negative log-likelihood expects log-probabilities, of which they sum to 1: it "
            f"falls below 0 as far as these values rise, without end for logits; end the model "
            f"with log_softmax, or give logits to a cross-entropy"
        )


def _far_from_recommended(weights: pd.DataFrame) -> Iterator[str]:
    """Count the weights far from their recommended std: most are within the limits of verdicts."""
    known = weights[weights["recommended_std"].notna() & (weights["std"] > 0)]
    times = known["std"] / known["recommended_std"]
    for factors, side in ((1 / times, "smaller"), (times, "larger")):
        far = factors[factors > FAR]
        if len(far):
            yield (
                f"{len(far)} of {len(known)} weights {'is' if len(far) == 1 else 'are'} more than "
                f"{FAR:.0f}× {side} than {'its' if len(far) == 1 else 'their'} "
                f"recommended std ({factor_span(far)}; see .weights); a layer needs attention only "
                f"beyond a limit"
            )


def _far_above_chance(evidence: Evidence) -> Iterator[str]:
    """Compare the first loss with that of constant outputs, where it is far above."""
    times = evidence.loss / evidence.chance
    if FAR_ABOVE_CHANCE < times < math.inf:
        yield (
            f"the loss starts at {three_digits(evidence.loss)}, {times:.2g} times that of constant "
            f"outputs ({three_digits(evidence.chance)}); "
            f"{evidence.excess_bias or head_of_loss(evidence.profile)} makes this output"
        )


def _tiny_gradients(weights: pd.DataFrame) -> Iterator[str]:
    """Name the weight matrices that hardly learn beside the others, such as a router of one."""
    matrices = weights[weights["shape"].map(len) > 1]
    ratios = matrices["gradient_ratio"]
    tiny = matrices[(ratios > 0) & (ratios < TINY * ratios[ratios > 0].median())]
    if len(tiny):
        named = listed(tiny["parameter"].tolist(), MOST_NAMED)
        yield (
            f"tiny gradients, below {TINY:g} of the median ratio of gradient to weight: {named}; "
            f"see gradient_ratio in .weights"
        )


def _faults(weights: pd.DataFrame) -> Iterator[str]:
    """Name the parameters that are wrong at any scale.

    Tied ones may be intended. So may zeros: verdicts judge them by what comes of them, and a table
    of zeros that gets a gradient learns.
    """
    own = weights["parameter"].str.rpartition(".")[2].str.startswith("weight")
    learns = (weights["used_as"] == "table") & (weights["gradient_state"] == ARRIVES)
    never_zero = weights["module"].isin(NEVER_ZERO) & own & ~learns
    zeros = (weights["fault"] == "all equal: 0") & ~never_zero
    meant = weights["fault"].str.startswith("tied") | zeros
    wrong = weights[(weights["fault"] != "") & ~meant]
    named = [f"{name} ({fault})" for name, fault in wrong[["parameter", "fault"]].to_numpy()]
    if named:
        yield f"wrong at any scale: {listed(named, MOST_NAMED)}; see .weights"


def _copies(weights: pd.DataFrame) -> Iterator[str]:
    """Name matrices that are one parameter under several names, or start with equal values.

    Both may be meant. An output layer tied to an embedding is, and is left out.
    """
    matrices = weights[weights["used_as"] == "matrix"]
    tied = matrices[matrices["fault"].str.startswith("tied to ")]
    owners = tied["fault"].str.removeprefix("tied to ")
    shared = owners.isin(matrices["parameter"])
    pairs = [f"{name} is {owner}" for name, owner in zip(tied["parameter"], owners, strict=True)]
    if named := [pair for pair, both in zip(pairs, shared, strict=True) if both]:
        yield f"one parameter under several names: {listed(named, MOST_NAMED)}; is it meant?"
    own = matrices.drop(tied.index)
    own = own[(own["std"] > 0) & (own["shape"].map(math.prod) >= FEWEST_VALUES)]
    groups = own.groupby(["shape", "mean", "std"], sort=False)["parameter"].agg(list)
    equal = [names for names in groups if len(names) > 1]
    if equal:
        others = f" and {counted(len(equal) - 1, 'more group')}" * (len(equal) > 1)
        yield (
            f"equal values at the start: {listed(equal[0], MOST_NAMED)}{others}, as copy.deepcopy "
            f"makes (in nn.TransformerEncoder too); draw them anew where each should be its own"
        )
