"""Measure signal, gradients and units over depth, and the share that is nan or ±inf."""

import math

import numpy as np
import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence

NO_ROWS = pd.DataFrame({"layer": pd.Series(dtype=str), "index": pd.Series(dtype=int), "value": 0.0})


BYPASS_SHARE = 1e-3
"""A layer of zeros is bypassed if the next layer receives at least this share of the spread."""


FEWEST_LAYERS = 4
"""A trend per layer needs this many layers."""


def is_normalized(evidence: Evidence) -> bool:
    """Return whether some layer is a normalization."""
    return bool(normalizations(evidence).any())


def is_plain(evidence: Evidence) -> bool:
    """Return whether no layer is a normalization."""
    return not is_normalized(evidence)


def always(evidence: Evidence) -> bool:
    """Return ``True``."""
    return True


def nonfinite_weights(evidence: Evidence) -> pd.DataFrame:
    """Return by layer the share of its parameters that are not finite, where any is."""
    weights = evidence.weights[evidence.weights["nonfinite"] > 0]
    shares = weights.groupby("layer", sort=False)["nonfinite"].max()
    indices = indices_of(evidence)
    return pd.DataFrame(
        {
            "layer": shares.index,
            "index": [indices.get(layer, 0) for layer in shares.index],
            "value": shares.to_numpy(),
        }
    )


def nonfinite_signal(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each output that is not finite."""
    return as_rows(evidence.profile, evidence.profile["nonfinite"])


def nonfinite_gradient(evidence: Evidence) -> pd.DataFrame:
    """Return the share of each gradient that is not finite, where the outputs all are."""
    profile = evidence.profile
    if (profile["nonfinite"] > 0).any():
        return NO_ROWS
    return as_rows(profile, profile["gradient_nonfinite"])


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
    backwards = (norms["gradient"] == 0) & (_max_gradient_upstream(evidence)[norms.index] > 0)
    return as_rows(norms, (norms["layer"] + ".weight").map(scale).where(forwards | backwards))


def nonlinearity_factor(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std after a nonlinearity divided by that before, where neither is constant."""
    rows = _activations(evidence)
    before = rows["input_sample_std"]
    return as_rows(rows, (rows["sample_std"] / before).where((before > 0) & (rows["dead"] < 1)))


def distinct_share(evidence: Evidence) -> pd.DataFrame:
    """Return the share of units whose weights are distinct; layers of zeros are left out."""
    rows = evidence.profile[evidence.profile["distinct"].notna() & ~normalizations(evidence)]
    share = rows["distinct"] / rows["units"]
    return as_rows(rows, share.where((rows["units"] > 1) & (rows["weight_gain"] > 0)))


def dead_share(evidence: Evidence) -> pd.DataFrame:
    """Return the share of units that die in a nonlinearity, at the layer before it.

    A unit is dead if it does not change over the samples. The layer before is named because its
    bias is the usual cause.
    """
    profile = evidence.profile
    died = profile["dead"].where(profile["nonlinear"] & (profile["input_dead"] < profile["dead"]))
    called = profile["layer"] != profile["place"]  # of a function: the layer before it
    named = profile[["place", "index"]]
    named = named.where(called, named.shift(1)).rename(columns={"place": "layer"})
    return named.assign(value=died).dropna()


def saturated_share(evidence: Evidence) -> pd.DataFrame:
    """Return the share of activations near an end of their range, those of outputs left out."""
    hidden = evidence.profile[~evidence.profile["is_output"]]
    return as_rows(hidden, hidden["saturated"])


def sample_share(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std / √(mean z²) of activations, or of all outputs where there are none.

    The greatest from each layer on counts: one gate that is equal for all samples is no collapse.
    """
    rows = _signal(evidence)
    rms = (rows["mean"] ** 2 + rows["std"] ** 2) ** 0.5
    return as_rows(rows, _from_here_on((rows["sample_std"] / rms).where(rms > 0), "cummax"))


def most_signal_left(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std divided by that of the first hidden layer: maximum from each layer on."""
    rows = _signal(evidence)
    return as_rows(rows, _from_here_on(_over_first(rows), "cummax"))


def least_signal_left(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std divided by that of the first hidden layer: minimum from each layer on."""
    rows = _signal(evidence)
    return as_rows(rows, _from_here_on(_over_first(rows), "cummin"))


def gradient_left(evidence: Evidence) -> pd.DataFrame:
    """Return the gradient's norm at the first hidden layer divided by that at the last."""
    for rows in (_signal(evidence), _weighted(evidence)):
        rows = _on_gradient_path(rows, evidence).dropna(subset=["gradient"])
        if len(rows) >= 2:
            break
    else:
        return NO_ROWS
    size = rows["gradient"] * rows["outputs"] ** 0.5
    ratio = size.iloc[0] / size.iloc[-1] if size.iloc[-1] > 0 else np.nan
    return as_rows(rows.head(1), pd.Series([ratio], index=rows.index[:1]))


def output_spread(evidence: Evidence) -> pd.DataFrame:
    """Return sample_std of the model's output, at the last layer that scales it.

    Only where there is a loss and the output is one tensor (samples, classes): other outputs have
    no usual scale. A last layer of zeros is left out: it is a choice, and learns first.
    """
    one = evidence.output["tensors"] == 1 and evidence.output.get("dimensions", 2) == 2
    if math.isnan(evidence.loss) or not one:
        return NO_ROWS
    rows = multiplying(evidence).tail(1)
    spread = evidence.output.get("sample_std", np.nan)
    if rows.empty or rows["weight_gain"].iloc[0] == 0:
        return NO_ROWS
    rows = evidence.profile[
        evidence.profile["weight_gain"].notna() | normalizations(evidence)
    ].tail(1)
    return as_rows(rows, pd.Series([spread], index=rows.index))


def factor_per_layer(evidence: Evidence) -> pd.DataFrame:
    """Return the geometric mean of the factor by which sample_std changes from layer to layer."""
    rows = _signal(evidence)
    if len(rows) < FEWEST_LAYERS or not (rows["sample_std"] > 0).all():
        return NO_ROWS
    spread = rows["sample_std"].to_numpy()
    factor = (spread[-1] / spread[0]) ** (1 / (len(spread) - 1))
    return as_rows(rows.tail(1), pd.Series([factor], index=rows.index[-1:]))


def _signal(evidence: Evidence) -> pd.DataFrame:
    """Return the hidden activations, or the hidden layers with weights where no φ is seen."""
    rows = _activations(evidence)
    return rows if len(rows) >= 2 else _weighted(evidence)


def _weighted(evidence: Evidence) -> pd.DataFrame:
    """Return the hidden layers with weights, without bypassed layers of zeros."""
    rows = multiplying(evidence)
    rows = rows[~bypassed_zero_layers(rows)].iloc[:-1]
    return rows[~rows["is_output"]]


def normalizations(evidence: Evidence) -> pd.Series:
    """Return which rows of the profile are normalizations."""
    normalizes: pd.Series = evidence.profile["normalizes"].astype(bool)
    return normalizes


def multiplying(evidence: Evidence) -> pd.DataFrame:
    """Return the rows of the profile that have weights."""
    return evidence.profile[evidence.profile["weight_gain"].notna()]


def bypassed_zero_layers(rows: pd.DataFrame) -> pd.Series:
    """Return which layers of zeros the signal bypasses, as at the end of a residual branch."""
    arrived = rows["input_sample_std"]
    return (rows["weight_gain"] == 0) & (arrived.shift(-1) > BYPASS_SHARE * arrived)


def _on_gradient_path(rows: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Leave out the inside of residual branches that end in zeros: no gradient reaches them yet."""
    around_zeros = bool(bypassed_zero_layers(multiplying(evidence)).any())
    closed = (rows["gradient"] == 0) & (
        (_max_gradient_upstream(evidence)[rows.index] > 0) | around_zeros
    )
    return rows[~closed]


def _max_gradient_upstream(evidence: Evidence) -> pd.Series:
    """Return for each row the largest gradient up to it: if above 0, a bypass has a gradient."""
    return evidence.profile["gradient"].cummax()


def _over_first(rows: pd.DataFrame) -> pd.Series:
    spread = rows["sample_std"]
    first = spread.iloc[0] if len(rows) else 0.0
    return spread / (first if first > 0 else np.nan)


def _from_here_on(values: pd.Series, running: str) -> pd.Series:
    """Return the ``cummax`` or ``cummin`` of the values from the last one backwards."""
    backwards: pd.Series = getattr(values[::-1], running)()
    return backwards[::-1]


def _activations(evidence: Evidence) -> pd.DataFrame:
    """Return the nonlinearities, without those of the output: that is meant to lie anywhere."""
    return evidence.profile[evidence.profile["nonlinear"] & ~evidence.profile["is_output"]]


def as_rows(rows: pd.DataFrame, values: pd.Series | float) -> pd.DataFrame:
    """Return layer, index and value of the rows that have a value."""
    # Of two indices, DataFrame() would take the union.
    aligned = values.reindex(rows.index) if isinstance(values, pd.Series) else values
    frame = pd.DataFrame({"layer": rows["place"], "index": rows["index"], "value": aligned})
    return frame[frame["value"].notna()]


def indices_of(evidence: Evidence) -> dict[str, int]:
    """Return by layer the index of its first call."""
    first = evidence.profile.drop_duplicates("layer")
    return dict(zip(first["layer"], first["index"], strict=True))
