"""Measure what learns: whether gradients arrive, and how far the first loss is above chance."""

import math

import pandas as pd

from init_bench.diagnosis.evidence import gradient_states
from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.evidence.layers import head_of_loss, heads_of
from init_bench.diagnosis.evidence.loss_use import IGNORED, NO_GRADIENT
from init_bench.diagnosis.measures.rows import NO_ROWS, as_rows, indices_of


def nothing_learns(evidence: Evidence) -> pd.DataFrame:
    """Return 1 at the last layer of the output where no gradient enters it, nor any parameter."""
    rows = _last_layer(evidence)
    if rows.empty or _something_learns(evidence) or not (rows["gradient"] == 0).all():
        return NO_ROWS
    return as_rows(rows, 1.0).assign(layer=rows["layer"])


def ignored_output(evidence: Evidence) -> pd.DataFrame:
    """Return 1 at the last layer of the output where the loss does not depend on the output."""
    return _where_used(evidence, IGNORED)


def output_without_gradient(evidence: Evidence) -> pd.DataFrame:
    """Return 1 at the last layer of the output where the loss has no gradient at the output."""
    return _where_used(evidence, NO_GRADIENT)


def cut_off(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each layer's weights that no gradient leads to, where there are any."""
    return _share_in_state(evidence, gradient_states.NONE)


def stuck(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each layer's weights that are stuck at zero, where others learn."""
    if len(nothing_learns(evidence)):
        return NO_ROWS
    found = _share_in_state(evidence, gradient_states.STUCK)
    return NO_ROWS if _are_ignored(evidence, found) else found


def zero_factors(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each layer's weights that are stuck at zero and all 0 themselves.

    They let no gradient back to the layers before either. Only what multiplies the signal counts:
    a position embedding of zeros shuts nothing.
    """
    weights = evidence.weights
    zero = (weights["gain"] == 0) & (weights["gradient_state"] == gradient_states.STUCK)
    found = stuck(evidence)
    return found[found["layer"].isin(weights["layer"][zero])]


def ignored(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each layer's weights that the loss of this batch makes no use of.

    Like the heads of a detector for sizes that no sample has.
    """
    found = _share_in_state(evidence, gradient_states.STUCK)
    return found if _are_ignored(evidence, found) else NO_ROWS


def nonfinite_weight_gradient(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each layer's weights whose gradient is not finite, where any is.

    Only where all outputs are finite: else the gradients follow from them.
    """
    if (evidence.profile["nonfinite"] > 0).any():
        return NO_ROWS
    return _share_in_state(evidence, gradient_states.NONFINITE)


def loss_over_chance(evidence: Evidence) -> pd.DataFrame:
    """Return the loss divided by that of constant outputs, at the layer that makes the output.

    Of several it is the one that the loss depends on most.
    """
    head = head_of_loss(evidence.profile)
    return NO_ROWS if evidence.excess_bias or not head else _over_chance(evidence, head)


def loss_over_chance_by_bias(evidence: Evidence) -> pd.DataFrame:
    """Return the same where a bias alone makes it large, at the layer of that bias."""
    bias = evidence.excess_bias
    found = _over_chance(evidence, bias.rpartition(".")[0]) if bias else NO_ROWS
    return found.assign(remedy=f"fill {bias} with 0, or with a value that the loss is small for")


def floor_of_probabilities(evidence: Evidence) -> pd.DataFrame:
    """Return what a cross-entropy that gets probabilities cannot fall below, at the last layer."""
    return as_rows(_last_layer(evidence), evidence.loss_floor)


def mass_of_no_probabilities(evidence: Evidence) -> pd.DataFrame:
    """Return what the exponentials of no log-probabilities sum to, at the last layer."""
    return as_rows(_last_layer(evidence), evidence.log_mass)


def _over_chance(evidence: Evidence, layer: str) -> pd.DataFrame:
    ratio = evidence.loss / evidence.chance
    if not math.isfinite(ratio):
        return NO_ROWS
    return pd.DataFrame({"layer": layer, "index": indices_of(evidence)[layer], "value": [ratio]})


def _last_layer(evidence: Evidence) -> pd.DataFrame:
    """Return the calls of the last layer that makes the output."""
    heads = heads_of(evidence.profile)[-1:]
    return evidence.profile[evidence.profile["layer"].isin(heads)]


def _where_used(evidence: Evidence, use: str) -> pd.DataFrame:
    if evidence.output_used != use:
        return NO_ROWS
    rows = _last_layer(evidence)
    return as_rows(rows, 1.0).assign(layer=rows["layer"])


def _are_ignored(evidence: Evidence, stuck_layers: pd.DataFrame) -> bool:
    """Return whether no layer, gate or output is shut, so that the loss itself leaves these out.

    Then each of them responds to its input, no gradient enters its output, and others learn.
    """
    if evidence.output_shut or not _something_learns(evidence):
        return False
    profile = evidence.profile.drop_duplicates("layer").set_index("layer")
    own = profile.reindex(stuck_layers["layer"])
    responds = (own["sample_std"] > 0) & (own["dead"] < 1) & ~(own["weight_gain"] == 0)
    return bool((responds & (own["gradient"] == 0)).all())


def _something_learns(evidence: Evidence) -> bool:
    """Return whether the gradient of any parameter is more than zero or absent."""
    silent = ("", gradient_states.STUCK, gradient_states.NONE)
    return not evidence.weights["gradient_state"].isin(silent).all()


def _share_in_state(evidence: Evidence, state: str) -> pd.DataFrame:
    """Return the share of a layer's trainable matrices whose gradient is in ``state``.

    A layer that has no matrix is in it where all of its parameters are: a bias alone, in front of
    a normalization or a softmax, may well have no gradient.
    """
    judged = evidence.weights[evidence.weights["gradient_state"] != ""]
    if not (judged["gradient_state"] == state).any():
        return NO_ROWS
    indices = indices_of(evidence)
    rows = []
    for layer, own in judged.groupby("layer", sort=False):
        matrices = own[own["shape"].map(len) > 1]
        share = float((matrices["gradient_state"] == state).mean()) if len(matrices) else 0.0
        if matrices.empty and (own["gradient_state"] == state).all():
            share = 1.0
        if share:
            rows.append({"layer": layer, "index": indices.get(str(layer), 0), "value": share})
    return pd.DataFrame(rows) if rows else NO_ROWS
