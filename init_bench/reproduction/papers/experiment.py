"""Describe how a paper is rechecked: what is measured, what theory expects, which claims follow."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd

from init_bench.figures import Panel
from init_bench.reproduction.claim_verdicts import Claim, Values

MEASURED = ("quantity", "series", "x", "seed", "value")
"""Columns of what was measured: a row per seed. ``x`` is what the panel's axis says."""


EXPECTED = ("quantity", "series", "x", "value")
"""Columns of what theory says."""


class Tables(NamedTuple):
    """What a paper's experiment returns, in the columns ``MEASURED`` and ``EXPECTED``."""

    measured: pd.DataFrame
    expected: pd.DataFrame


def tables(measured: Iterable[tuple[Any, ...]], expected: Iterable[tuple[Any, ...]] = ()) -> Tables:
    """Return rows as tables."""
    return Tables(
        pd.DataFrame(list(measured), columns=list(MEASURED)),
        pd.DataFrame(list(expected), columns=list(EXPECTED)),
    )


@dataclass(frozen=True)
class Picture:
    """Describe a figure: its panels and what is written below."""

    panels: tuple[Panel, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Describe how a paper is rechecked.

    Attributes:
        measure: takes the seeds, and settings by name; returns the tables.
        claims: read a table of ``frames_of``.
        pictures: figures by name.
        read: what of the paper was read, in plain words.
        setting: how it was measured, in a sentence.
        seeds: how many, unless the caller says.
        quick: settings with which ``measure`` takes seconds; its verdicts mean little.
        not_checked: claims of the paper that were left out, and why.
    """

    measure: Callable[..., Tables]
    claims: tuple[Claim, ...]
    pictures: Mapping[str, Picture]
    read: str
    setting: str
    seeds: int = 5
    quick: Mapping[str, Any] = field(default_factory=dict)
    not_checked: str = ""


def experiment_of(name: str) -> Experiment:
    """Return how the paper ``name`` is rechecked."""
    module = import_module(f"init_bench.reproduction.papers.{name}")
    found: Experiment = module.EXPERIMENT
    return found


def frames_of(found: Tables) -> dict[str, pd.DataFrame]:
    """Return the tables that claims read: ``measured``, ``ratio`` and ``difference``.

    The latter two are measured over, and measured minus, expected, where theory says something.
    """
    keys = ["quantity", "series", "x"]
    one, two = (table.astype({"x": float}) for table in found)
    both = one.merge(two, on=keys, suffixes=("", "_expected"))
    value, theory = both["value"], both["value_expected"]
    return {
        "measured": found.measured,
        "ratio": both.assign(value=value / theory)[list(MEASURED)],
        "difference": both.assign(value=value - theory)[list(MEASURED)],
    }


def value_of(quantity: str, series: str, x: float | None = None) -> Values:
    """Return the value at ``x`` by seed, or at the largest x there is."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = table[(table["quantity"] == quantity) & (table["series"] == series)]
        rows = rows[rows["x"] == (rows["x"].max() if x is None else x)]
        found: pd.Series = rows.groupby("seed")["value"].mean()
        return found

    return measure


def least(quantity: str, series: str) -> Values:
    """Return the least value over x by seed, such as the loss at the best learning rate."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = table[(table["quantity"] == quantity) & (table["series"] == series)]
        found: pd.Series = rows.groupby("seed")["value"].min()
        return found

    return measure


def last_over_first(quantity: str, series: str) -> Values:
    """Return the value at the largest x over that at the smallest, by seed."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = table[(table["quantity"] == quantity) & (table["series"] == series)]
        wide = rows.pivot(index="seed", columns="x", values="value")
        return wide[wide.columns.max()] / wide[wide.columns.min()]

    return measure


def over(quantity: str, series: str, other: str, x: float | None = None) -> Values:
    """Return the value of one series over that of another, by seed, at ``x`` or the largest x."""
    one, two = value_of(quantity, series, x), value_of(quantity, other, x)
    return lambda table: one(table) / two(table)


def farthest_ratio(quantity: str, series: str | None = None) -> Values:
    """Return by how much measured over expected differs from 1 at most, by seed."""
    return farthest(quantity, series, center=1.0)


def farthest(quantity: str, series: str | None = None, *, center: float = 0.0) -> Values:
    """Return the largest distance of a value from ``center``, of one series or all, by seed."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = table[table["quantity"] == quantity]
        rows = rows if series is None else rows[rows["series"] == series]
        far = rows.assign(far=(rows["value"] - center).abs())
        found: pd.Series = far.groupby("seed")["far"].max()
        return found

    return measure


def mean_ratio(quantity: str, series: str | None = None) -> Values:
    """Return the mean of measured over expected values, by seed."""

    def measure(table: pd.DataFrame) -> pd.Series:
        rows = table[table["quantity"] == quantity]
        rows = rows if series is None else rows[rows["series"] == series]
        found: pd.Series = rows.groupby("seed")["value"].mean()
        return found

    return measure
