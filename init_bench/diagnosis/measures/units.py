"""Measure the units of a layer: how many are distinct, dead, saturated."""

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import (
    NO_ROWS,
    activations_of,
    as_rows,
    normalizations,
)

SATURATED = 0.5
"""Share of a layer's activations above which it is to be watched: of 3 networks with no other
verdict 2 trained."""


THROUGHOUT = 0.5
"""Mean share over layers above which saturation is bad: below it the signal passes by the layer
that has most."""


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


def saturated_throughout(evidence: Evidence) -> pd.DataFrame:
    """Return the same where it is more than half on average over all hidden nonlinearities.

    One without bounds counts as 0: gates that start shut leave the signal its way.
    """
    mean = activations_of(evidence)["saturated"].fillna(0.0).mean()
    return saturated_share(evidence) if mean > THROUGHOUT else NO_ROWS
