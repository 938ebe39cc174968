"""Describe how a paper is rechecked: what is measured, what theory expects, which claims follow."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd

from init_bench.figures import Panel
from init_bench.init.docstrings import section
from init_bench.reproduction.claim_verdicts import Claim

MEASURED = ("quantity", "series", "x", "seed", "value")
"""Columns of what was measured: a row per seed. ``x`` is what the panel's axis says."""


EXPECTED = ("quantity", "series", "x", "value")
"""Columns of what theory says."""


OF_RATIOS = "Of ratios over seeds the geometric mean is given, and the interval of the logarithms."
"""What the setting says where a claim is ``of_ratios``."""


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


QUICK_NOTE = (
    "A quick run, on smaller sizes and with fewer steps than the setting of a whole run says: what "
    "holds here, or does not, is no verdict on the paper."
)


QUICK_SUMMARY = "Quick run, no verdict on the paper:"
"""What stands before the number of claims that hold."""


@dataclass(frozen=True)
class Picture:
    """Describe a figure: its panels, what is written below, and the claims that it shows."""

    panels: tuple[Panel, ...]
    caption: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Experiment:
    """Describe how a paper is rechecked.

    In words it is described by the docstring of the module that ``measure`` stands in, under
    ``Read of the paper:``, ``Setting:`` and, where claims were left out, ``Not rechecked:``.

    Attributes:
        measure: takes the seeds, and settings by name; returns the tables.
        pictures: figures by name; their claims read a table of ``frames_of``.
        seeds: how many, unless the caller says.
        quick: settings with which ``measure`` takes seconds; its verdicts mean little.
    """

    measure: Callable[..., Tables]
    pictures: Mapping[str, Picture]
    _: KW_ONLY
    seeds: int = 5
    quick: Mapping[str, Any] = field(default_factory=dict)

    @property
    def read(self) -> str:
        """What of the paper was read, in plain words."""
        return section(inspect.getmodule(self.measure), "Read of the paper")

    @property
    def setting(self) -> str:
        """How it was measured."""
        said = section(inspect.getmodule(self.measure), "Setting")
        return f"{said} {OF_RATIOS}" if any(claim.of_ratios for claim in self.claims) else said

    @property
    def not_checked(self) -> str:
        """Claims of the paper that were left out, and why."""
        return section(inspect.getmodule(self.measure), "Not rechecked")

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of all figures, each with the figure's name."""
        return tuple(
            replace(claim, figure=name)
            for name, picture in self.pictures.items()
            for claim in picture.claims
        )


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
