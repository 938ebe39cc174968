"""Hold the verdicts on a source's claims and show them as text, figure, JSON and page."""

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench.figures import claim_verdicts
from init_bench.figures.claim_list import number_of
from init_bench.figures.export import files_of, page_of
from init_bench.files import json_records, write_files
from init_bench.reproduction.claim_verdicts import NOT_IN_BOOK, NOT_IN_PAPER
from init_bench.words import counted

SHOWN = ("verdict", "figure", "statement", "value", "ci_low", "ci_high", "threshold", "note")
"""Columns of the table in a page."""


def summary_of(claims: pd.DataFrame) -> str:
    """Return how many claims hold, how many do not, and how many are undecided.

    Those that are not in the paper or book are counted apart.

    Example:
        >>> claims = pd.DataFrame({
        ...     "statement": ["it learns", "it is fast", "it is 3 (not in the paper)"],
        ...     "verdict": ["holds", "does not hold", "undecided"]})
        >>> summary_of(claims)
        '1 of 2 claims hold, 1 does not. Not in the paper: 0 of 1 hold, 1 undecided.'
    """
    if claims.empty:
        return _counted([], "claims ")
    is_ours = claims["statement"].str.endswith((NOT_IN_PAPER, NOT_IN_BOOK))
    own, ours = (list(claims.loc[rows, "verdict"]) for rows in (~is_ours, is_ours))
    said = _counted(own, "claims ")
    if not ours:
        return said
    source = "book" if claims["statement"].str.endswith(NOT_IN_BOOK).any() else "paper"
    return f"{said} Not in the {source}: {_counted(ours)}"


def _counted(verdicts: list[str], what: str = "") -> str:
    failed, undecided = verdicts.count("does not hold"), verdicts.count("undecided")
    parts = [f"{verdicts.count('holds')} of {len(verdicts)} {what}hold"]
    if failed:
        parts.append(f"{failed} {'does' if failed == 1 else 'do'} not")
    if undecided:
        parts.append(f"{undecided} undecided")
    return f"{', '.join(parts)}."


@dataclass(frozen=True)
class Reproduction:
    """Hold the claims and figures of a source, and where they are stored.

    Attributes:
        claims: a row per claim: value, interval, threshold, verdict.
        folder: where all is stored.
        figures: paths of the PNGs.
        failures: files about chunks that failed.
    """

    claims: pd.DataFrame
    folder: Path
    figures: tuple[Path, ...] = ()
    failures: tuple[Path, ...] = ()

    @property
    def summary(self) -> str:
        """How many claims hold, or that training failed."""
        if self.failures:
            files = ", ".join(map(str, self.failures))
            return f"No claim is judged: training failed, see {files}."
        return summary_of(self.claims)

    def figure(self) -> Figure:
        """Draw the verdict on each claim; the source's own figures are files, see ``figures``.

        Raises:
            InitBenchError: no claim is judged.
        """
        caption = f"{self.summary} Intervals: Student's t over seeds."
        return claim_verdicts(self.claims, caption=caption)

    def to_json(self) -> str:
        """Return summary, claims and the paths of the figures as JSON."""
        claims = json_records(self.claims, digits=15)
        paths = [str(path) for path in self.figures]
        head = {"summary": self.summary, "claims": claims, "figures": paths}
        return json.dumps(head, ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "claims") -> list[Path]:
        """Write figure, HTML and JSON of the claims into ``folder``; return the paths.

        Raises:
            InitBenchError: no claim is judged, or ``folder`` cannot be made or written.
        """
        return write_files(Path(folder), files_of(self, name))

    def __str__(self) -> str:
        count = f"{self.summary} " if len(self.claims) or self.failures else ""
        return "\n".join([*self._blocks(), f"{count}Tables and figures: {self.folder}"])

    def _repr_html_(self) -> str:
        if self.claims.empty:
            return f"<p>{html.escape(self.summary)}</p>"
        return page_of(self.summary, self.claims[list(SHOWN)], self.figure())

    def _blocks(self) -> Iterator[str]:
        """Yield the lines of each claim: words, number, verdict."""
        for row in self.claims.to_dict("records"):
            yield f"{row['verdict'].upper():<14} {row['figure']:<14} {row['statement']}"
            seeds = counted(row["seeds"], "seed")
            threshold = f"(threshold {row['threshold']}; {seeds})"
            yield f"{'':<14} {number_of(row)} {threshold}"
            yield f"{'':<14} {row['quantity']}"
            if row["note"]:
                yield f"{'':<14} note: {row['note']}"
