"""The result of a diagnosis, and its faces."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis import report as telling
from init_bench.figures import diagnosis as draw


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong with a model's initialisation.

    All tables have a column ``step``: how many updates were done before the look, 0 unless asked.

    Attributes:
        name: class of the model.
        layers: the table of ``capture``, a row per layer and tensor kind.
        profile: a row per layer call, with its input, gradient and weight beside its output.
        histograms: how each output's values are spread, see ``Record.histograms``.
        verdicts: a row per finding, see ``init_bench.judging.judge``; where faults start comes
            first, then what follows from them (``cause`` names the layer).
        weights: a row per parameter, see ``init_bench.audit.audit``.
        expected: what mean field expects of each layer at step 0, see
            ``theory.covered.expected_of``; ``None`` where it does not cover the model.
        losses: the loss by step; nan where no loss was given.
        notes: what is otherwise than asked or to be read with care, in words.
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
    def headline(self) -> str:
        """What is wrong and where it starts, in a line, and the loss of each step."""
        head = telling.headline(self.name, self.profile, self.weights, self.verdicts)
        if len(self.losses) == 1:
            return head if math.isnan(self.loss) else f"{head} Loss: {self.loss:#.3g}."
        told = ", ".join(f"{loss:#.3g} (step {step})" for step, loss in self.losses.items())
        return f"{head} Loss: {told}."

    def figure(self) -> Figure:
        """Draw signal, values and gradient over depth, what is wrong marked, theory beside.

        Of several steps the first and the last are drawn.
        """
        return draw(
            self.profile, self.verdicts, self.histograms, self.expected, caption=self.headline
        )

    def to_json(self) -> str:
        """Return everything as JSON: ``name``, ``healthy``, ``loss``, ``notes`` and the tables."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records"))
            for name in ("verdicts", "layers", "weights")
        }
        losses = {s: loss if math.isfinite(loss) else None for s, loss in self.losses.items()}
        head = {
            "name": self.name,
            "healthy": self.healthy,
            "loss": losses[0],
            "losses": losses,
            "notes": self.notes,
        }
        return json.dumps({**head, **tables}, ensure_ascii=False)

    def save(self, folder: Path, name: str) -> list[Path]:
        """Write figure, HTML and JSON into ``folder``, named after ``name``; return the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
        paths = [folder / f"{stem}.{ending}" for ending in ("png", "html", "json")]
        self.figure().savefig(paths[0], dpi=120)
        paths[1].write_text(telling.document(self.name, self._repr_html_()), "utf-8")
        paths[2].write_text(self.to_json(), "utf-8")
        return paths

    def __str__(self) -> str:
        """Return headline and findings as text."""
        return telling.text(self.headline, self.notes, self.verdicts)

    def _repr_html_(self) -> str:
        """Return headline, findings and figure, without script."""
        return telling.page(self.headline, self.notes, self.verdicts, self.figure())
