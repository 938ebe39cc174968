"""Measure how layers use their weights: concentrated attention, weights rescaled when used."""

import math
from collections.abc import Hashable, Mapping

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence

AGREE = 1.5
"""Up to this factor the stored weight is taken for what multiplies the signal."""


def largest_attention(evidence: Evidence) -> pd.DataFrame:
    """Return by attention the mean over its queries of the largest weight."""
    return evidence.attention[["layer", "index"]].assign(
        value=evidence.attention["largest"].astype(float)
    )


def remedy_of(row: Mapping[Hashable, float]) -> str:
    """Return what helps where the stored weight is not what multiplies the signal, else empty."""
    used, stored = row["weight_gain"], row["stored_gain"]
    if not stored > 0 or not used > 0 or abs(math.log(used / stored)) < math.log(AGREE):
        return ""
    return (
        f"the layer rescales its weight when it uses it (gain {stored:.3g} stored, {used:.3g} "
        f"used): change that factor, not the stored values"
    )
