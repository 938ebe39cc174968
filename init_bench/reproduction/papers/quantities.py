"""Compute the quantities that decide the claims: a table → a value per seed."""

import pandas as pd

from init_bench.reproduction.claim_verdicts import Values


def value_of(quantity: str, series: str, x: float | None = None) -> Values:
    """Return the value at ``x`` by seed, or at the largest x there is."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = _rows(table, quantity, series)
        return _by_seed(rows[rows["x"] == (rows["x"].max() if x is None else x)], "mean")

    return measure


def least(quantity: str, series: str | None = None) -> Values:
    """Return the least value over x by seed, such as the loss at the best learning rate."""
    return lambda table: _by_seed(_rows(table, quantity, series), "min")


def last_over_first(quantity: str, series: str) -> Values:
    """Return the value at the largest x over that at the smallest, by seed."""

    def measure(table: pd.DataFrame) -> pd.Series:
        wide = _rows(table, quantity, series).pivot(index="seed", columns="x", values="value")
        return wide[wide.columns.max()] / wide[wide.columns.min()]

    return measure


def over(quantity: str, series: str, other: str, x: float | None = None) -> Values:
    """Return the value of one series over that of another, by seed, at ``x`` or the largest x."""
    return ratio(value_of(quantity, series, x), value_of(quantity, other, x))


def ratio(one: Values, other: Values) -> Values:
    """Return one quantity over another, by seed."""
    return lambda table: one(table) / other(table)


def farthest_ratio(quantity: str, series: str | None = None) -> Values:
    """Return by how much measured over expected differs from 1 at most, by seed."""
    return farthest(quantity, series, center=1.0)


def farthest(quantity: str, series: str | None = None, *, center: float = 0.0) -> Values:
    """Return the largest distance of a value from ``center``, of one series or all, by seed."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = _rows(table, quantity, series)
        return _by_seed(rows.assign(value=(rows["value"] - center).abs()), "max")

    return measure


def mean_ratio(quantity: str, series: str | None = None) -> Values:
    """Return the mean of measured over expected values, by seed."""
    return lambda table: _by_seed(_rows(table, quantity, series), "mean")


def _rows(table: pd.DataFrame, quantity: str, series: str | None) -> pd.DataFrame:
    rows = table[table["quantity"] == quantity]
    return rows if series is None else rows[rows["series"] == series]


def _by_seed(rows: pd.DataFrame, how: str) -> pd.Series:
    found: pd.Series = rows.groupby("seed")["value"].agg(how)
    return found
