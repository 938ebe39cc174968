"""Hold the result of a recommendation: table, text, figure, files."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.phrases import three_digits
from init_bench.figures import ranked_losses
from init_bench.figures.export import files_of, page_of
from init_bench.files import json_records, write_files

STEPS = 40
"""Training steps of each initializer."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Initializers of one model, ranked by measurement.

    Attributes:
        table: a row per initializer, best first: ``init``, ``loss`` (mean over seeds of the loss
            after the last step), ``ci_low``, ``ci_high`` (its 95 % interval), ``lr``, ``behind``
            (mean over seeds of its loss minus the best's of the same seed), ``behind_ci_low``,
            ``behind_ci_high`` (its interval, which covers all comparisons together), ``differs``
            (whether that excludes 0), ``diverged`` (number of seeds), ``seeds`` (how many it took)
            and ``verdicts`` at step 0
            (``healthy; watch: saturated`` where it is healthy, with findings to watch).
            Old names of columns: ``low``, ``high``, ``rate``, ``behind_low``, ``behind_high``.
        refused: initializers that cannot fill this model, and why.
        seeds: the largest number of seeds that one of them took.
        optimizer: its name, or that of its class.
        rates: the learning rates among which the best of each was chosen.
    """

    table: pd.DataFrame
    refused: dict[str, str]
    seeds: int
    optimizer: str
    rates: tuple[float, ...]

    @property
    def best(self) -> tuple[str, ...]:
        """The first, and those without a measured difference from it."""
        return tuple(self.table.loc[~self.table["differs"], "init"])

    @property
    def summary(self) -> str:
        """The answer in a sentence."""
        first, tried, name = self.table.iloc[0], len(self.table), self.table["init"][0]
        if not math.isfinite(first["loss"]):
            fewest = self.table["diverged"].min()
            return f"nothing to rank: each diverged for {fewest} or more of {self.seeds} seeds"
        if tried == 1:
            return f"{name}: loss {first['loss']:.4g}; it was the only candidate"
        if len(self.best) == 1:
            return f"{name} learns fastest: loss {first['loss']:.4g}; all others are worse"
        if len(self.best) < tried:
            best = ", ".join(self.best)
            return f"no difference shown between {best}; the others are worse than {name}"
        if not self.table["behind_ci_high"].any():
            return f"no difference: all {tried} reach the same loss from every seed"
        return (
            f"no difference shown between {tried} initializers with {self.seeds} seeds; try more "
            "seeds"
        )

    @property
    def meaning(self) -> str:
        """What the columns of the printed table mean."""
        return (
            f"loss: after {STEPS} steps of {self.optimizer}, mean over seeds, with its 95 % "
            "interval; lr: the best for this initializer.\n"
            "worse than first by: interval of the difference to the first, seed by seed; it holds "
            "for all comparisons at once, however often seeds were added.\n"
            "differs: whether that interval excludes 0; diverged: number of seeds; seeds: how many "
            "it took until it differs; verdicts: of diagnose, before training."
        )

    def figure(self) -> Figure:
        """Draw the loss of each initializer with its 95 % interval, best first."""
        caption = (
            f"{self.summary}. {STEPS} steps of {self.optimizer}; 95 % intervals over up to "
            f"{self.seeds} seeds."
        )
        return ranked_losses(self.table, caption=caption)

    def to_json(self) -> str:
        """Return summary, optimizer, table and refused initializers as JSON."""
        table = json_records(self.table)
        head = {"summary": self.summary, "best": self.best, "refused": self.refused}
        return json.dumps({**head, "optimizer": self.optimizer, "table": table}, ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "recommendation") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        return write_files(Path(folder), files_of(self, name))

    def _repr_html_(self) -> str:
        """Return summary, table and figure as HTML without JavaScript."""
        return page_of(self.summary, self.ranking, self.figure())

    def __str__(self) -> str:
        """Return summary, table and refused initializers as text."""
        table = self.ranking.to_string(index=False)
        return "\n".join([self.summary, table, self.meaning, *self.notes])

    @property
    def notes(self) -> list[str]:
        """A sentence for each that diverged, was best at an edge of the rates, or does not fit."""
        diverged = [
            f"{row['init']} diverged for {row['diverged']} of {row['seeds']} seeds at its best "
            f"rate, {row['lr']:g}"
            for row in self.table.to_dict("records")
            if not math.isfinite(row["loss"])
        ]
        unfit = [f"{name} does not fit: {why}" for name, why in self.refused.items()]
        return [*diverged, *self._at_the_edge(), *unfit]

    def _at_the_edge(self) -> list[str]:
        """Name the initializers whose best rate is the least or the largest that was tried."""
        best = self.table.loc[np.isfinite(self.table["loss"]), ["init", "lr"]].to_numpy()
        return [
            f"best at the {end} rate tried, {rate:g}: {', '.join(names)}; a rate beyond it may be "
            "better still"
            for end, rate in (("lowest", min(self.rates)), ("highest", max(self.rates)))
            if (names := [str(name) for name, lr in best if lr == rate])
        ]

    @property
    def ranking(self) -> pd.DataFrame:
        """The table in the columns and words in which it is printed."""
        shown = pd.DataFrame(
            {
                "init": self.table["init"],
                "loss": self.table["loss"].map("{:#.4g}".format),
                "95 %": _intervals(self.table, "ci_low", "ci_high"),
                "worse than first by": _intervals(self.table, "behind_ci_low", "behind_ci_high"),
                "differs": self.table["differs"].map({True: "yes", False: "no"}),
                "lr": self.table["lr"].map("{:g}".format),
                "diverged": self.table["diverged"],
                "seeds": self.table["seeds"],
                "verdicts": self.table["verdicts"],
            }
        )
        shown.loc[0, "worse than first by"] = ""
        return shown


def _intervals(table: pd.DataFrame, low: str, high: str) -> list[str]:
    ends = zip(table[low], table[high], strict=True)
    return [f"[{three_digits(a)}, {three_digits(b)}]" for a, b in ends]
