"""Measure the units of a layer: how many are distinct, dead, saturated."""

import numpy as np
import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import (
    NO_ROWS,
    activations_of,
    as_rows,
    normalizations,
)

PIECEWISE_LINEAR = ("relu", "leakyrelu", "prelu", "rrelu")
"""Nonlinearities that are linear on either side of 0. Not hardtanh and relu6, which are linear
between their kinks: small inputs are meant to be there."""


FEWEST_UNITS = 16
"""All of fewer units may lie on the same side by chance: those of one layer in 2^15 of 16."""


SATURATED = 0.5
"""Share of a layer's activations above which it is to be watched: of 3 networks with no other
verdict 2 trained."""


THROUGHOUT = 0.5
"""Mean share over layers above which saturation is bad: below it the signal passes by the layer
that has most."""


def distinct_share(evidence: Evidence) -> pd.DataFrame:
    """Return the share of units whose weights are distinct; layers of zeros are left out.

    Products that a module computes itself beside its child modules count as layers. Of a stack of
    matrices, as of experts, the one with the least share counts.
    """
    products = evidence.products.rename(columns={"gain": "weight_gain"})
    products = products.assign(place=products["layer"])
    rows = pd.concat([evidence.profile[~normalizations(evidence)], products], ignore_index=True)
    rows = rows[rows["distinct"].notna()]
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


def one_sided_share(evidence: Evidence) -> pd.DataFrame:
    """Return the share of a piecewise linear φ's values on one side of 0, at the layer before it.

    It is the larger of the two sides, over units and samples. On neither side is what lies within
    0.1 RMS of 0, the middle bin of the histogram, as all that a ReLU cuts. Judged is a φ whose
    input is just what weights or a normalization return: after another ReLU, a pooling or a
    shortcut it may be on one side by design.
    """
    profile, bins = evidence.profile, evidence.histograms
    before = profile[profile["weight_gain"].notna() | normalizations(evidence)]
    before = before[(before["sample_std"] > 0) & ~(before["units"] < FEWEST_UNITS)]
    rows = activations_of(evidence)
    kinked = rows[rows["module"].str.lower().str.replace("_", "").isin(PIECEWISE_LINEAR)]
    taken, returned = ["input_std", "input_sample_std"], ["std", "sample_std"]
    rows = kinked.merge(before, left_on=taken, right_on=returned, suffixes=("_of_kinked", ""))
    sides = bins.groupby(["index", np.sign(bins["centre"])])["share"].sum().unstack()
    return as_rows(rows, rows["index_of_kinked"].map(sides.reindex(columns=[-1, 1]).max(axis=1)))


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


def gate_opening(evidence: Evidence) -> pd.DataFrame:
    """Return by gate inside a layer how far it is open, the one most shut first."""
    gates = evidence.gates.sort_values("opening", kind="stable")
    remedies = "its " + gates["gate"] + " is shut: fill " + gates["bias"] + " with 0"
    return gates[["layer", "index"]].assign(
        value=gates["opening"].astype(float), remedy=remedies.astype(str)
    )
