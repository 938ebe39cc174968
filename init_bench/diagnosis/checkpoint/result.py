"""Hold the result of an audit, and that of a comparison of two states."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from init_bench.diagnosis.checkpoint import report
from init_bench.files import json_records, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Hold what changed between two states of a model.

    Attributes:
        name: of the later state.
        before: name of the earlier one.
        table: a row per parameter: ``parameter``, ``state`` (``equal``: the same bits;
            ``rounded``: the same once cast to the later type; ``changed``; ``replaced``: no
            correlation with the values before; ``reshaped``, ``added``, ``removed``),
            ``relative_change`` = ‖after − before‖ / ‖before‖, ``norm_before``, ``norm_after``,
            ``correlation`` of the values, ``rank`` of a matrix's change if it is at most 64
            (a kernel counts as ``(n_out, n_in · positions)``), and shape and dtype of both.
    """

    name: str
    before: str
    table: pd.DataFrame

    @property
    def changed(self) -> pd.DataFrame:
        """The rows of parameters that do not have equal bits."""
        return self.table[self.table["state"] != "equal"]

    @property
    def summary(self) -> str:
        """What changed, in a sentence."""
        return report.change_answer(self.table)

    def figure(self) -> "Figure":
        """Draw the relative change of every parameter, in the model's order."""
        from init_bench.figures import parameter_states  # here: an audit needs no matplotlib

        caption = f"{self.before} → {self.name}. {self.summary}"
        return parameter_states(
            self.table, "relative_change", "‖after - before‖ / ‖before‖", caption=caption
        )

    def to_json(self) -> str:
        """Return names, summary and table as JSON."""
        head = {"name": self.name, "before": self.before, "summary": self.summary}
        return json.dumps(
            {**head, "table": json_records(self.table, digits=15)}, ensure_ascii=False
        )

    def save(self, folder: str | Path, name: str = "difference") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        from init_bench.figures.export import files_of

        return write_files(Path(folder), files_of(self, name))

    def __str__(self) -> str:
        """Return the summary and a row per parameter that is not equal."""
        return report.text([self.summary], report.shown_changes(self.table), [])

    def _repr_html_(self) -> str:
        """Return summary, changed rows and figure as HTML without JavaScript."""
        from init_bench.figures.export import page_of

        rows = report.shown_changes(self.table).head(report.MOST_ROWS)
        return page_of(self.summary, rows, self.figure())


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Hold what the values of a model's parameters say of where they are from.

    Attributes:
        name: of the model or the file.
        table: a row per parameter or buffer: ``parameter``, ``module`` (class; empty where only
            names are known), ``shape``, ``dtype``, ``mean``, ``std`` (divided by n), ``largest``
            (of the absolute values), ``zero`` and ``nonfinite`` (shares), ``looks_like`` (the
            rules that could have written it, the likeliest first; ``other`` where none could),
            ``chance`` (that values of an unrelated scale would come as near to the first rule; not
            the chance that the parameter was trained), ``state``, ``tied_to`` (the first name of
            the same memory) and ``copy_of`` (the first with the same bits). States, the worst
            first: ``non-finite``, ``never filled``, ``all zero`` and ``all equal`` (of a weight),
            ``fresh`` (as initialized), ``copy``, ``unsure`` (a rule fits, but so would many
            values), ``tied``, ``other`` (no rule fits, as after training), ``not judged``
            (integers, empty tensors).
        difference: what changed from the reference; ``None`` without one.
    """

    name: str
    table: pd.DataFrame
    difference: Difference | None = None

    @property
    def fresh(self) -> list[str]:
        """Names of the parameters that are still as initialized."""
        return self.table.loc[self.table["state"] == "fresh", "parameter"].tolist()

    @property
    def findings(self) -> pd.DataFrame:
        """The rows that may need attention: non-finite, unfilled, constant, fresh, copied."""
        return self.table[self.table["state"].isin(report.FINDINGS)]

    @property
    def summary(self) -> str:
        """What was found, in a sentence per kind of finding."""
        return report.answer(self.table)

    def figure(self) -> "Figure":
        """Draw the std of every parameter, in the model's order, colored by its state."""
        from init_bench.figures import parameter_states

        caption = f"{self.name}. {self.summary}"
        return parameter_states(self.table, "std", "std of the values", caption=caption)

    def to_json(self) -> str:
        """Return name, summary, table and difference as JSON."""
        head = {"name": self.name, "summary": self.summary, "fresh": self.fresh}
        difference = None if self.difference is None else json.loads(self.difference.to_json())
        tables = {"table": json_records(self.table, digits=15), "difference": difference}
        return json.dumps({**head, **tables}, ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "audit") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        from init_bench.figures.export import files_of

        return write_files(Path(folder), files_of(self, name))

    def __str__(self) -> str:
        """Return the summary, a row per finding, what to do, and what changed."""
        rows = report.shown_findings(self.table)
        said = report.text([self.summary], rows, report.advice(self.table))
        return said if self.difference is None else f"{said}\n\n{self.difference}"

    def _repr_html_(self) -> str:
        """Return summary, findings and figure as HTML without JavaScript."""
        from init_bench.figures.export import page_of

        rows = report.shown_findings(self.table).head(report.MOST_ROWS)
        page = page_of(self.summary, rows, self.figure())
        return page if self.difference is None else page + self.difference._repr_html_()
