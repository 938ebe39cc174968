"""Measure how much of the gradient is left at the first layers."""

import numpy as np
import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import (
    NO_ROWS,
    as_rows,
    bypassed_zero_layers,
    hidden_layers,
    hidden_weighted,
    max_gradient_upstream,
    multiplying,
)

ALIKE = 2.0
"""Layers that change the gradient by factors this near to each other are alike."""


def gradient_left(evidence: Evidence) -> pd.DataFrame:
    """Return the gradient's norm at the first hidden layer divided by that at the last.

    It is the value of the layer in which the gradient changes most on its way back, see ``_turn``.
    Of a layer that runs several times, as a cell in a loop over time, the call with the largest
    counts: its weights learn from all of them.
    """
    for rows in (hidden_layers(evidence), hidden_weighted(evidence)):
        rows = _on_gradient_path(rows, evidence).dropna(subset=["gradient"])
        if len(rows) >= 2:
            break
    else:
        return NO_ROWS
    size = rows["gradient"] * rows["outputs"] ** 0.5
    layers = _layers_with_weights(evidence)[rows.index]
    first = size[layers == layers.iloc[0]].max()
    ratio = first / size.iloc[-1] if size.iloc[-1] > 0 else np.nan
    turn, taken = _turn(size, grows=ratio > 1), rows[["input_std", "input_sample_std"]]
    while turn and taken.iloc[turn].equals(taken.iloc[turn - 1]):  # beside it, not behind it
        turn -= 1
    named = rows.iloc[[turn]]
    return as_rows(named, pd.Series([ratio], index=named.index))


def _turn(size: pd.Series, *, grows: bool) -> int:
    """Return the position of the first row that changes the gradient about as much as any does.

    From one layer to the next the gradient may also change back, as in a gate: that is no loss.
    """
    kept = size.cummin() if grows else size.cummax()
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(np.abs(np.diff(np.log(kept.to_numpy(float)), prepend=np.nan)))
    factor = np.nan_to_num(factor, nan=1.0, posinf=np.inf)
    return int(np.argmax(factor * ALIKE >= factor.max()))


def _layers_with_weights(evidence: Evidence) -> pd.Series:
    """Return for each row the layer with weights that it follows or is, else the row's own."""
    profile = evidence.profile
    weighted = profile["layer"].where(profile["weight_gain"].notna())
    return weighted.ffill().fillna(profile["layer"])


def _on_gradient_path(rows: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Leave out the inside of residual branches that end in zeros: no gradient reaches them yet."""
    around_zeros = bool(bypassed_zero_layers(multiplying(evidence)).any())
    closed = (rows["gradient"] == 0) & (
        (max_gradient_upstream(evidence)[rows.index] > 0) | around_zeros
    )
    return rows[~closed]
