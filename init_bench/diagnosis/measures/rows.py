"""Choose the rows of the evidence that a measure reads, and make the rows that it returns."""

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence

NO_ROWS = pd.DataFrame({"layer": pd.Series(dtype=str), "index": pd.Series(dtype=int), "value": 0.0})


BYPASS_SHARE = 1e-3
"""A layer of zeros is bypassed if the next layer receives at least this share of the spread."""


def always(evidence: Evidence) -> bool:
    """Return ``True``."""
    return True


def is_normalized(evidence: Evidence) -> bool:
    """Return whether some layer is a normalization."""
    return bool(normalizations(evidence).any())


def is_plain(evidence: Evidence) -> bool:
    """Return whether no layer is a normalization."""
    return not is_normalized(evidence)


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


def activations_of(evidence: Evidence) -> pd.DataFrame:
    """Return the nonlinearities, without those of the output: that is meant to lie anywhere."""
    return evidence.profile[evidence.profile["nonlinear"] & ~evidence.profile["is_output"]]


def hidden_layers(evidence: Evidence) -> pd.DataFrame:
    """Return the hidden activations, or the hidden layers with weights where no φ is seen."""
    rows = activations_of(evidence)
    return rows if len(rows) >= 2 else hidden_weighted(evidence)


def hidden_weighted(evidence: Evidence) -> pd.DataFrame:
    """Return the hidden layers with weights, without bypassed layers of zeros."""
    rows = multiplying(evidence)
    rows = rows[~bypassed_zero_layers(rows)].iloc[:-1]
    return rows[~rows["is_output"]]


def max_gradient_upstream(evidence: Evidence) -> pd.Series:
    """Return for each row the largest gradient up to it: if above 0, a bypass has a gradient."""
    return evidence.profile["gradient"].cummax()


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
