"""Measure how layers use their weights: their gain as used, concentrated attention."""

import math
from collections.abc import Hashable, Mapping

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.evidence.parameters import rescaling
from init_bench.diagnosis.evidence.worst_matrix import distance_from_1
from init_bench.diagnosis.measures.rows import (
    as_rows,
    bypassed_zero_layers,
    multiplying,
    normalizations,
)

PASSES = 0.1
"""Small weights are undone if a layer soon after receives at least this share of the spread;
without a way around it, a layer beyond the limit would pass on less than 0.02."""


KEEP = (
    "nothing has to change: the branch starts as almost nothing beside the way around it, which "
    "trains as well; if that was not meant, std = gain/√fan_in"
)
"""What to do about small weights in a residual branch. Drawn larger, they made three of four
networks slower (``benchmarks.advice``)."""


BRANCH = 3
"""How many layers with weights may come before the end of the way around: those of a bottleneck."""


def weight_gain(evidence: Evidence) -> pd.DataFrame:
    """Return √(fan_in · mean W²) of layers with a weight matrix, where it reaches later layers.

    ``target`` is the gain at the recommended std. Left out are bypassed layers of zeros, small
    output layers, which are a choice, and the layers of ``undone_weight_gain``. Products that a
    module computes beside its child modules count too, see ``own_products``.
    """
    rows = multiplying(evidence)
    meant = bypassed_zero_layers(rows) | _small_outputs(rows)
    judged = rows.assign(weight_gain=rows["weight_gain"].mask(meant | _undone(rows, evidence)))
    judged = pd.concat([judged, own_products(evidence)], ignore_index=True)
    return _with_targets(judged, judged["weight_gain"], evidence)


def own_products(evidence: Evidence) -> pd.DataFrame:
    """Return the gain of products that modules compute themselves beside their child modules.

    What the next layer receives, its spread over samples divided by that of the product's input,
    counts if that is nearer to 1. Left out are products before a normalization, and those after
    which no layer with weights comes: they make the output.
    """
    profile, normalizes, found = evidence.profile, normalizations(evidence), []
    last = multiplying(evidence)["index"].max()
    for product in evidence.products.to_dict("records"):
        after = profile[profile["index"] > product["index"]].head(1)
        if not product["index"] < last or normalizes[after.index].any():
            continue
        passed = after["input_sample_std"].iloc[0] / (product["input_sample_std"] or math.nan)
        if passed >= 0:
            small = product["gain"] < 1  # then what is more than the input came another way
            gain = min(product["gain"], min(passed, 1) if small else passed, key=distance_from_1)
            found.append({**product, "place": product["layer"], "weight_gain": gain})
    columns = ["layer", "place", "index", "weight_gain", "stored_gain"]
    return pd.DataFrame(found).reindex(columns=columns)


def undone_weight_gain(evidence: Evidence) -> pd.DataFrame:
    """Return √(fan_in · mean W²) of layers whose scale is undone before the next layer.

    A normalization after the layer undoes it or, where the weights are small, a way around it.
    """
    rows = multiplying(evidence)
    meant = bypassed_zero_layers(rows) | _small_outputs(rows)
    gain = rows["weight_gain"].where(_undone(rows, evidence) & ~meant)
    measured = _with_targets(rows, gain, evidence)
    closed = measured["layer"].isin(rows["layer"][_closes_branch(rows, evidence)])
    return measured.assign(remedy=measured["remedy"].mask(closed, KEEP))


def _closes_branch(rows: pd.DataFrame, evidence: Evidence) -> pd.Series:
    """Return which layers are small in a branch whose other layers are of usual size.

    The branch starts as almost nothing, and the small weights grow by a gradient of usual size. A
    layer right before a normalization closes nothing: its scale is made up for.
    """
    gains, normalizes = rows["weight_gain"], normalizations(evidence)
    normalized = normalizes.shift(-1, fill_value=False)[rows.index]
    beside = pd.concat([gains.shift(1), gains.shift(-1)], axis=1).min(axis=1)
    closes: pd.Series = (gains < PASSES) & (beside > PASSES) & ~normalized
    return closes


def _with_targets(rows: pd.DataFrame, gain: pd.Series, evidence: Evidence) -> pd.DataFrame:
    gained = as_rows(rows, gain)
    gains = rows[["layer", "weight_gain", "stored_gain"]]
    rescaled = {row["layer"]: remedy_of(row) for row in gains.to_dict("records")}
    remedies = _redraws(evidence) | {layer: said for layer, said in rescaled.items() if said}
    return gained.assign(
        target=gained["layer"].map(_recommended_gains(evidence)),
        remedy=[remedies.get(layer, "") for layer in gained["layer"]],
    )


def _redraws(evidence: Evidence) -> dict[str, str]:
    """Return by layer the std to draw its weight from, where it has one weight and a known one."""
    known = evidence.weights.dropna(subset=["gain", "recommended_std"])
    known = known[known["std"] > 0].drop_duplicates("layer", keep=False)
    return {
        row["layer"]: f"draw these weights with std {row['recommended_std']:.3g}, not "
        f"{row['std']:.3g}: gain/√fan_in, "
        f"{_rule_of(row['recommended_std'] * row['fan_in'] ** 0.5)}"
        for row in known.to_dict("records")
    }


def _rule_of(gain: float) -> str:
    """Return the initializer that draws with ``gain``, or else the gain itself.

    Example:
        >>> _rule_of(1.0), _rule_of(math.sqrt(2)), _rule_of(5 / 3)
        ('as lecun_normal does', 'as he_normal does before a ReLU', 'of gain 1.67')
    """
    for rule, own in {"lecun_normal does": 1.0, "he_normal does before a ReLU": 2**0.5}.items():
        if math.isclose(gain, own, rel_tol=0.01):
            return f"as {rule}"
    return f"of gain {gain:.3g}"


def _small_outputs(rows: pd.DataFrame) -> pd.Series:
    """Return which layers make the output and reduce it.

    Layers of several matrices, such as attention, are none: not all of them make the output.
    """
    last = rows["index"] == rows["index"].max()
    one_matrix = rows["kind"] == "pre_activation"
    small: pd.Series = (last | rows["is_output"]) & one_matrix & (rows["weight_gain"] < 1)
    return small


def _undone(rows: pd.DataFrame, evidence: Evidence) -> pd.Series:
    """Return for which layers the scale of the weights is undone soon after.

    Large weights are undone by a normalization right behind; small ones also by a way around the
    layer. It may end after other layers: those of a residual branch or an adapter; and it may
    begin in front of a normalization right before the layer. Weights of 0 inside a branch may shut
    it for ever: of them the next layer alone counts.
    """
    normalizes = normalizations(evidence)
    normalized = normalizes.shift(-1, fill_value=False)[rows.index]
    arrived = rows["input_sample_std"]
    before = evidence.profile["input_sample_std"].where(normalizes).shift(1)[rows.index]
    later, grown = arrived.shift(-1), pd.Series(1.0, index=rows.index)
    for ahead in range(2, BRANCH + 1):  # what layers between multiply by came no way around
        grown = grown * rows["weight_gain"].clip(lower=1.0).shift(1 - ahead)
        later = pd.concat([later, arrived.shift(-ahead) / grown], axis=1).max(axis=1)
    around = (later > PASSES * arrived.clip(upper=before)) & (rows["weight_gain"] > 0)
    small, passes = rows["weight_gain"] < 1, arrived.shift(-1) > PASSES * arrived
    undone: pd.Series = (small & (passes | around)) | (~small & normalized)
    return undone


def _recommended_gains(evidence: Evidence) -> pd.Series:
    """Return by layer the gain that its weights would have at the recommended std."""
    weights = evidence.weights.dropna(subset=["gain", "recommended_std"]).drop_duplicates("layer")
    used = list(map(rescaling, weights["gain"], weights["stored_gain"]))
    gains: pd.Series = weights["recommended_std"] * weights["fan_in"] ** 0.5 * used
    return gains.set_axis(weights["layer"])


def largest_attention(evidence: Evidence) -> pd.DataFrame:
    """Return by attention the mean over its queries of the largest weight."""
    return evidence.attention[["layer", "index"]].assign(
        value=evidence.attention["largest"].astype(float)
    )


def remedy_of(row: Mapping[Hashable, float]) -> str:
    """Return what helps where the stored weight is not what multiplies the signal, else empty."""
    used, stored = row["weight_gain"], row["stored_gain"]
    if rescaling(used, stored) == 1:
        return ""
    return (
        f"the layer rescales its weight when it uses it (gain {stored:.3g} stored, {used:.3g} "
        f"used): change that factor, not the stored values"
    )
