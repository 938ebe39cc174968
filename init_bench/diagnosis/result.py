"""Hold the result of a diagnosis and show it as text, figure, JSON and page."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis import page, report
from init_bench.diagnosis.learning_rates.result import RateWindow
from init_bench.diagnosis.phrases import three_digits
from init_bench.diagnosis.rules.menu import verdict_marks
from init_bench.figures import diagnosis as draw
from init_bench.figures.export import files_of, svg_of
from init_bench.files import json_records, write_files


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong with a model's initialization.

    Every table has a column ``step``: the number of updates before the measurement, 0 unless asked.

    Attributes:
        name: class of the model.
        layers: the table of ``capture``, a row per layer and tensor kind.
        profile: a row per layer call, with statistics of its input, output, gradient and weight.
        histograms: how each output's values are spread, see ``Record.histograms``.
        verdicts: a row per finding, see ``init_bench.diagnosis.judgment.judge``: first those where
            a fault originates, then what is attributed to them (``cause`` names the layer).
        weights: a row per parameter, see ``init_bench.diagnosis.evidence.parameters.audit``.
        expected: what mean-field theory predicts of each layer at step 0; ``None`` where it does
            not cover the model.
        losses: the loss by step; nan where no loss was given.
        rates: the learning rates at which the model learns, ``None`` unless asked for.
        notes: what was not judged, and what to read with care, as sentences.
    """

    name: str
    layers: pd.DataFrame
    profile: pd.DataFrame
    verdicts: pd.DataFrame
    weights: pd.DataFrame
    histograms: pd.DataFrame
    expected: pd.DataFrame | None
    losses: dict[int, float]
    notes: tuple[str, ...] = ()
    rates: RateWindow | None = None

    @property
    def healthy(self) -> bool:
        """Whether no finding is bad."""
        return not (self.verdicts["severity"] == "bad").any()

    @property
    def bad(self) -> pd.DataFrame:
        """The bad findings."""
        return self.verdicts[self.verdicts["severity"] == "bad"]

    @property
    def loss(self) -> float:
        """The loss of the initial weights; nan where no loss was given."""
        return self.losses[0]

    @property
    def summary(self) -> str:
        """What is wrong and what to fix first, for each step."""
        return report.answer(self.verdicts, self.weights)

    @property
    def headline(self) -> str:
        """The summary, then the model's size and its loss, in a line."""
        return f"{self.summary} {self._size}"

    @property
    def _size(self) -> str:
        """The model's size and its loss."""
        size = report.size(self.name, self.profile, self.weights)
        if len(self.losses) == 1:
            return size if math.isnan(self.loss) else f"{size} Loss: {three_digits(self.loss)}."
        by_step = ", ".join(
            f"{three_digits(loss)} (step {step})" for step, loss in self.losses.items()
        )
        return f"{size} Loss: {by_step}."

    def figure(self) -> Figure:
        """Draw signal, values and gradient over depth, with findings marked and theory beside.

        Of several steps the first and the last are drawn.
        """
        return draw(
            self.profile,
            self.verdicts,
            self.histograms,
            self.expected,
            caption=self.headline,
            marks=verdict_marks(),
        )

    def to_json(self) -> str:
        """Return everything as JSON: ``name``, ``healthy``, ``loss``, ``notes`` and the tables."""
        tables = {
            name: json_records(getattr(self, name)) for name in ("verdicts", "layers", "weights")
        }
        losses = {s: loss if math.isfinite(loss) else None for s, loss in self.losses.items()}
        head = {
            "name": self.name,
            "healthy": self.healthy,
            "summary": self.summary,
            "loss": losses[0],
            "losses": losses,
            "notes": self.notes,
        }
        rates = {"rates": json.loads(self.rates.to_json())} if self.rates else {}
        return json.dumps({**head, **tables, **rates}, ensure_ascii=False)

    def save(self, folder: str | Path, name: str | None = None) -> list[Path]:
        """Write figure, page and JSON into ``folder``; return the paths.

        Files are named after ``name``, by default the model's class. The page is one file that
        needs no network.
        """
        return write_files(Path(folder), files_of(self, name or self.name, page=self.report()))

    def report(self) -> str:
        """Return the page as HTML: answer, figure to explore, findings, weights."""
        tables = {n: getattr(self, n) for n in ("profile", "verdicts", "weights", "histograms")}
        return page.report(
            tables,
            self.expected,
            answer=self.summary,
            size=self._size,
            notes=[*self.notes, *([self.rates.summary, *self.rates.notes] if self.rates else [])],
            svg=svg_of(self.figure()),
        )

    def __str__(self) -> str:
        """Return headline, notes and findings as text."""
        modules = dict(self.profile[["layer", "module"]].to_numpy())
        text = report.text(self.headline, self.notes, self.verdicts, modules)
        return f"{text}\n\n{self.rates}" if self.rates else text

    def _repr_html_(self) -> str:
        """Return headline, findings and figure, without script."""
        short = report.page(self.headline, self.notes, self.verdicts, self.figure())
        return short + self.rates._repr_html_() if self.rates else short
