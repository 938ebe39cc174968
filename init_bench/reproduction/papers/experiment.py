"""Describe how a paper is rechecked: what is measured, what theory expects, which claims follow."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd

from init_bench.figures import Panel
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
    "A quick run, on smaller sizes than said and with few steps: what holds here, or does not, is "
    "no verdict on the paper."
)


QUICK_SUMMARY = "Quick run, no verdict on the paper:"
"""What stands before the number of claims that hold."""


@dataclass(frozen=True)
class Picture:
    """Describe a figure: its panels, what is written below, and the claims that it shows."""

    panels: tuple[Panel, ...]
    caption: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Describe how a paper is rechecked.

    Attributes:
        measure: takes the seeds, and settings by name; returns the tables.
        pictures: figures by name; their claims read a table of ``frames_of``.
        read: what of the paper was read, in plain words.
        setting: how it was measured, in a sentence.
        seeds: how many, unless the caller says.
        quick: settings with which ``measure`` takes seconds; its verdicts mean little.
        not_checked: claims of the paper that were left out, and why.
    """

    measure: Callable[..., Tables]
    pictures: Mapping[str, Picture]
    read: str
    setting: str
    seeds: int = 5
    quick: Mapping[str, Any] = field(default_factory=dict)
    not_checked: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of all figures, each with the figure's name."""
        return tuple(
            replace(claim, figure=name)
            for name, picture in self.pictures.items()
            for claim in picture.claims
        )

    @property
    def usual_steps(self) -> int | None:
        """The training steps of ``measure``; ``None`` where it does not train."""
        parameter = inspect.signature(self.measure).parameters.get("steps")
        return None if parameter is None else int(parameter.default)


def experiment_of(name: str, *, quick: bool = False) -> Experiment:
    """Return how the paper ``name`` is rechecked; a quick run's words state its own steps."""
    module = import_module(f"init_bench.reproduction.papers.{name}")
    found: Experiment = module.EXPERIMENT
    usual = found.usual_steps
    if not quick or usual is None or "steps" not in found.quick:
        return found

    def told(text: str) -> str:
        return with_steps(text, usual, int(found.quick["steps"]))

    pictures = {name: _told(picture, told) for name, picture in found.pictures.items()}
    return replace(found, setting=told(found.setting), pictures=pictures)


def with_steps(text: str, usual: int, steps: int) -> str:
    """Return words about a training of ``usual`` steps as those about one of ``steps``.

    Example:
        >>> with_steps("loss of the last 50 of 500 steps", 500, 10)
        'loss of the last 10 of 10 steps'
    """
    text = re.sub(
        rf"last (\d+) of {usual} steps",
        lambda found: f"last {min(int(found[1]), steps)} of {steps} steps",
        text,
    )
    return re.sub(rf"(?<=counts as ){usual}\b|\b{usual}(?= steps)", str(steps), text)


def _told(picture: Picture, told: Callable[[str], str]) -> Picture:
    """Return a picture with other words below it, at its axes and in its claims."""
    panels = tuple(replace(p, y=told(p.y), title=told(p.title)) for p in picture.panels)
    claims = tuple(
        replace(c, statement=told(c.statement), quantity=told(c.quantity), note=told(c.note))
        for c in picture.claims
    )
    return Picture(panels, told(picture.caption), claims)


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
