"""Compute the quantities that decide the claims: a table → a value per seed."""

import numpy as np
import pandas as pd

from init_bench.reproduction.claim_verdicts import Values


def rows_of(frame: pd.DataFrame, init: str, activation: str) -> pd.DataFrame:
    """Return the rows of one initializer and activation."""
    return frame[(frame["init"] == init) & (frame["activation"] == activation)]


def last_layer(init: str, activation: str, column: str) -> Values:
    """Return ``column`` of the fifth layer, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        rows = rows_of(layers, init, activation)
        last: pd.Series = rows[rows["layer"] == rows["layer"].max()].set_index("seed")[column]
        return last

    return measure


def last_to_first_layer(init: str, activation: str) -> Values:
    """Return the std of the fifth layer over that of the first, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        wide = rows_of(layers, init, activation).pivot(index="seed", columns="layer", values="std")
        return wide[wide.columns.max()] / wide[wide.columns.min()]

    return measure


def cell_value(init: str, activation: str, column: str) -> Values:
    """Return ``column`` of the table, by seed."""
    return lambda cells: rows_of(cells, init, activation).set_index("seed")[column]


def most_distinct_rows(init: str) -> Values:
    """Return the most distinct units of any hidden layer at any captured step, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        rows = rows_of(layers, init, "relu")
        hidden = rows[(rows["kind"] == "weight") & (rows["layer"] != "fc5")]
        return hidden.groupby("seed")["distinct"].max()

    return measure


def gradient_ratio(init: str) -> Values:
    """Return the RMS gradient at the first hidden activation over that at the last, by seed."""

    def measure(layers: pd.DataFrame) -> pd.Series:
        rows = gradient_profile(rows_of(layers, init, "sigmoid"))
        wide = rows.pivot(index="seed", columns="depth_index", values="rms")
        return wide[wide.columns.min()] / wide[wide.columns.max()]

    return measure


def gradient_profile(layers: pd.DataFrame) -> pd.DataFrame:
    """Return ``init, activation, seed, depth_index, rms`` of the gradient at each activation."""
    at_start = layers[(layers["kind"] == "gradient") & (layers["step"] == 0)]
    hidden = at_start[at_start["layer"].str.startswith("act")]
    return hidden[["init", "activation", "seed"]].assign(
        depth_index=hidden["layer"].str.removeprefix("act").astype(int),
        rms=np.hypot(hidden["mean"], hidden["std"]),
    )


def least_sigmoid_loss(cells: pd.DataFrame) -> pd.Series:
    """Return the least final loss of the book's three initializers with sigmoid, by seed."""
    three = ("normal(std=0.01)", "lecun_normal", "he_normal")
    rows = cells[(cells["activation"] == "sigmoid") & cells["init"].isin(three)]
    wide = rows.pivot(index="seed", columns="init", values="final_loss")
    least: pd.Series = wide.apply(lambda row: row.min(skipna=False), axis=1)
    return least


def he_ahead(curves: pd.DataFrame) -> pd.Series:
    """Return mean loss over all steps of lecun_normal minus that of he_normal, paired by seed."""
    relu = curves[curves["activation"] == "relu"]
    finite = relu.assign(loss=relu["loss"].where(np.isfinite(relu["loss"])))
    area = finite.groupby(["init", "seed"])["loss"].agg(lambda loss: loss.mean(skipna=False))
    wide = area.unstack("init")
    return wide["lecun_normal"] - wide["he_normal"]


def loss_at_best_rate(init: str) -> Values:
    """Return the final loss at the learning rate with the least mean over seeds, by seed.

    A rate at which a seed diverged does not count.
    """

    def measure(cells: pd.DataFrame) -> pd.Series:
        rows = cells[cells["init"] == init]
        by_rate = rows.pivot(index="seed", columns="lr", values="final_loss").dropna(axis="columns")
        if by_rate.empty:
            return pd.Series(np.nan, index=by_rate.index)
        best: pd.Series = by_rate[by_rate.mean().idxmin()]
        return best

    return measure
