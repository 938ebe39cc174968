"""Measure how much of weights, outputs and gradients is nan or ±inf."""

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import NO_ROWS, as_rows, indices_of


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
