"""Measure the signal: what a layer does to it, and what is left of it over depth."""

import math

import numpy as np
import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import (
    BYPASS_SHARE,
    NO_ROWS,
    activations_of,
    as_rows,
    hidden_layers,
    max_gradient_upstream,
    multiplying,
    normalizations,
)

FEWEST_LAYERS = 4
"""A trend per layer needs this many layers."""


SMALL_HEAD = 0.1
"""Usual last layers have 0.4 of the gain of the others (torch.default behind he_normal) or more."""


SAME = 1.25
"""Factor up to which two spreads over samples are those of one signal, with or without a token."""


AS_RECOMMENDED = 1.25
"""A std that differs by less than this factor is the recommended one."""


BESIDE_WEIGHTS = (
    "no weight is smaller than recommended: what is between the layers shrinks the signal, such as "
    "gates or a mean; residual connections or a normalization keep it level"
)
"""What helps where the signal shrinks although the weights have the recommended std."""


def norm_scale(evidence: Evidence) -> pd.DataFrame:
    """Return √(mean weight²) of normalizations that let nothing through.

    After them neither a layer nor the output receives a signal, or no gradient comes back although
    a bypass has one.
    """
    norms = evidence.profile[normalizations(evidence)]
    weights = evidence.weights.set_index("parameter")
    scale = (weights["mean"] ** 2 + weights["std"] ** 2) ** 0.5
    later = multiplying(evidence).set_index("index")["input_sample_std"]
    end = evidence.output.get("sample_std", math.nan)
    arrives = [np.fmax(later[later.index > index].max(), end) for index in norms["index"]]
    forwards = pd.Series(arrives, norms.index, float) <= BYPASS_SHARE * norms["input_sample_std"]
    backwards = (norms["gradient"] == 0) & (max_gradient_upstream(evidence)[norms.index] > 0)
    return as_rows(norms, (norms["layer"] + ".weight").map(scale).where(forwards | backwards))


def nonlinearity_factor(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std after a nonlinearity divided by that before, where neither is constant."""
    rows = activations_of(evidence)
    before = rows["input_sample_std"]
    return as_rows(rows, (rows["sample_std"] / before).where((before > 0) & (rows["dead"] < 1)))


def sample_share(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std / √(mean z²) of activations, or of all outputs where there are none.

    The greatest from each layer on counts: one gate that is equal for all samples is no collapse.
    """
    rows = hidden_layers(evidence)
    rms = (rows["mean"] ** 2 + rows["std"] ** 2) ** 0.5
    return as_rows(rows, _from_here_on((rows["sample_std"] / rms).where(rms > 0), "cummax"))


def most_signal_left(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std divided by that of the first hidden layer: maximum from each layer on."""
    rows = hidden_layers(evidence)
    return as_rows(rows, _from_here_on(_over_first(rows), "cummax"))


def least_signal_left(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std divided by that of the first hidden layer: minimum from each layer on."""
    rows = hidden_layers(evidence)
    return as_rows(rows, _from_here_on(_over_first(rows), "cummin"))


def output_spread(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std of the model's output, at the last layer that scales it.

    Only where there is a loss and the output is one tensor (samples, classes): other outputs have
    no usual scale. A last layer of zeros is left out: it is a choice, and learns first. So is a
    constant output of weights that tell samples apart: what comes after them is flat.
    """
    one = evidence.output["tensors"] == 1 and evidence.output.get("dimensions", 2) == 2
    if math.isnan(evidence.loss) or not one:
        return NO_ROWS
    rows = multiplying(evidence).tail(1)
    spread = evidence.output.get("sample_std", np.nan)
    if rows.empty or rows["weight_gain"].iloc[0] == 0:
        return NO_ROWS
    if spread == 0 and rows["sample_std"].iloc[0] > 0:
        return NO_ROWS
    rows = evidence.profile[
        evidence.profile["weight_gain"].notna() | normalizations(evidence)
    ].tail(1)
    return as_rows(rows, pd.Series([spread], index=rows.index))


def output_spread_without_small_head(evidence: Evidence) -> pd.DataFrame:
    """Return the same divided by the gain of a small last layer over the median of the others'.

    Small is less than ``SMALL_HEAD`` of it. A last layer that alone is small is a choice, as one of
    zeros is: it learns first, then the others.
    """
    rows, gains = output_spread(evidence), multiplying(evidence)["weight_gain"]
    share = gains.iloc[-1:] / (gains.iloc[:-1].median() if len(gains) > 1 else 1.0)
    return rows.assign(value=rows["value"] / share.where(share < SMALL_HEAD, 1.0).min())


def drowned(evidence: Evidence) -> pd.DataFrame:
    """Return by how much the std grows in a layer or behind it, where sample_std stays the same.

    Then a constant was added, such as a position embedding. Of both places the larger counts.
    """
    rows = evidence.profile[~evidence.profile["is_output"]]
    received, returned = ["input_std", "input_sample_std"], ["std", "sample_std"]
    signals = [rows[received], rows[returned], rows[received].shift(-1)]
    before, after, later = (signal.set_axis(returned, axis=1) for signal in signals)
    factors = [after / before.where(before > 0), later / after.where(after > 0)]
    grown = [
        factor["std"].where(factor["sample_std"].between(1 / SAME, SAME)) for factor in factors
    ]
    return as_rows(rows, pd.concat(grown, axis=1).max(axis=1))


def factor_per_layer(evidence: Evidence) -> pd.DataFrame:
    """Return the geometric mean of the factor by which sample_std changes from layer to layer.

    The smallest is left out: one step down, as by a constant outside the layers, is no rate.
    """
    rows = hidden_layers(evidence)
    if len(rows) < FEWEST_LAYERS or not (rows["sample_std"] > 0).all():
        return NO_ROWS
    spread = rows["sample_std"].to_numpy()
    factor = np.exp(np.sort(np.diff(np.log(spread)))[1:].mean())
    shrinks = as_rows(rows.tail(1), pd.Series([factor], index=rows.index[-1:]))
    return shrinks.assign(remedy=_beside_weights(evidence))


def left_by_few_layers(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std of the last hidden layer over the first's, of too few for a trend."""
    rows = hidden_layers(evidence)
    if not 1 < len(rows) < FEWEST_LAYERS:
        return NO_ROWS
    left = _over_first(rows)
    return as_rows(rows.tail(1), left[left > 0].tail(1)).assign(remedy=_beside_weights(evidence))


def _beside_weights(evidence: Evidence) -> str:
    """Return what helps where no weight is smaller than recommended, else empty."""
    known = evidence.weights[evidence.weights["recommended_std"] > 0]
    small = known["std"] < known["recommended_std"] / AS_RECOMMENDED
    return "" if known.empty or small.any() else BESIDE_WEIGHTS


def _over_first(rows: pd.DataFrame) -> pd.Series:
    spread = rows["sample_std"]
    first = spread.iloc[0] if len(rows) else 0.0
    return spread / (first if first > 0 else np.nan)


def _from_here_on(values: pd.Series, running: str) -> pd.Series:
    """Return the ``cummax`` or ``cummin`` of the values from the last one backwards."""
    backwards: pd.Series = getattr(values[::-1], running)()
    return backwards[::-1]
