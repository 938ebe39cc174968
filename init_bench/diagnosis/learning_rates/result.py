"""Hold a window of rates and show it as text, figure, JSON and page."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.learning_rates.trials import LONGEST
from init_bench.figures import rate_curves
from init_bench.figures.export import files_of, page_of
from init_bench.files import json_records, write_files
from init_bench.words import counted

NEXT_TO_NONE = 0.5
"""A window of at most this many decades is called next to none."""


@dataclass(frozen=True, kw_only=True)
class RateWindow:
    """Hold the learning rates that a start allows.

    Attributes:
        optimizer: its name.
        trials: a row per rate, lowest first: ``lr``; ``outcome`` of its trial (``falls``,
            ``does not fall``, ``diverges``, ``not tried``); ``steps`` of it; ``last_loss``, the
            mean of its last losses; ``in_window``.
        curves: ``lr``, ``step`` and ``loss`` of every trial.
        low, high: the ends of the window; nan where no trial fell.
        first_loss, chance_loss, goal: the loss of the start, that of the best constant output (inf
            where none is known), and the loss that counts as learned.
        horizon: training steps that the window speaks of.
        curvature: largest eigenvalue of the loss's Hessian at the start; nan where a layer allows
            no second derivative.
        scale_free: a row per weight whose size does not matter, as before a normalization:
            ``parameter``, ``norm``, ``effective_rate_per_lr`` (1/‖W‖²).
        notes: what to read with care, as sentences.
    """

    optimizer: str
    trials: pd.DataFrame
    curves: pd.DataFrame
    low: float
    high: float
    first_loss: float
    chance_loss: float
    goal: float
    horizon: int
    curvature: float
    scale_free: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def decades(self) -> float:
        """Width of the window, log10(high / low); nan where there is none."""
        return math.log10(self.high / self.low) if self.high > 0 else math.nan

    @property
    def curvature_rate(self) -> float:
        """2/λ, above which gradient descent on a quadratic diverges; inf where λ ≤ 0."""
        if math.isnan(self.curvature):
            return math.nan
        return 2 / self.curvature if self.curvature > 0 else math.inf

    @property
    def table(self) -> pd.DataFrame:
        """``trials``."""
        return self.trials

    @property
    def summary(self) -> str:
        """The answer in a sentence or two, then what the curvature says."""
        return " ".join([self._answer(), *self._beside()])

    def figure(self) -> Figure:
        """Draw the loss of every trial, and the window among the rates."""
        window = (self.low, self.high)
        return rate_curves(
            self.trials,
            self.curves,
            window=window,
            goal=self.goal,
            curvature_rate=self.curvature_rate,
            caption=self.summary,
        )

    def to_json(self) -> str:
        """Return everything as JSON; what is no finite number is null."""
        numbers = ("low", "high", "decades", "first_loss", "chance_loss", "goal", "curvature")
        values = {name: getattr(self, name) for name in (*numbers, "curvature_rate")}
        head = {
            "optimizer": self.optimizer,
            "summary": self.summary,
            **{name: value if math.isfinite(value) else None for name, value in values.items()},
            "horizon": self.horizon,
            "notes": self.notes,
        }
        tables = {
            name: json_records(getattr(self, name)) for name in ("trials", "curves", "scale_free")
        }
        return json.dumps({**head, **tables}, ensure_ascii=False)

    def save(self, folder: str | Path, name: str = "rates") -> list[Path]:
        """Write figure, HTML and JSON into ``folder``; return the paths."""
        return write_files(Path(folder), files_of(self, name))

    def __str__(self) -> str:
        """Return summary, notes and trials as text."""
        return "\n".join([self.summary, *self.notes, self._printed().to_string(index=False)])

    def _repr_html_(self) -> str:
        """Return summary, trials and figure as HTML without JavaScript."""
        return page_of(" ".join([self.summary, *self.notes]), self._printed(), self.figure())

    def _answer(self) -> str:
        """Return the window in a sentence."""
        rates = self.trials["lr"]
        least, most = rates.iloc[0], rates.iloc[-1]
        tried = rates[self.trials["steps"] > 0]
        if math.isnan(self.high):
            return (
                f"No window of rates found for {self.optimizer}: at none of the rates tried, "
                f"{tried.min():.2g} to {tried.max():.2g}, did the loss fall clearly below "
                f"{min(self.first_loss, self.chance_loss):.3g} within {LONGEST} steps and "
                f"not diverge."
            )
        lower = " or lower" if self.low == least else ""
        higher = " or higher" if self.high == most else ""
        where = f"from {self.low:.2g}{lower} to {self.high:.2g}{higher}"
        if self.low == self.high:
            where = f"of {self.low:.2g}{lower}{higher}"
        narrow = self.decades <= NEXT_TO_NONE and not lower and not higher
        head = "Next to no window of rates" if narrow else "Window of rates"
        inside = tried[self.trials.loc[tried.index, "in_window"]].map("{:.2g}".format)
        return (
            f"{head}: judging by short trials at {' and '.join(inside)}, {self.optimizer} learns "
            f"within {self.horizon} steps at rates {where} ({self.decades:.1f} of the "
            f"{math.log10(most / least):.1f} decades from {least:.2g} to {most:.2g}). "
            f"{self._tried()}"
        )

    def _tried(self) -> str:
        """Return how many rates were tried, and how many of the window are inferred."""
        tried = self.trials["steps"] > 0
        inferred = int((self.trials["in_window"] & ~tried).sum())
        count = f"{tried.sum()} of {len(tried)} rates were tried"
        if not inferred:
            return f"{count}."
        return (
            f"{count}. {inferred} more in the window {'was' if inferred == 1 else 'were'} not: a "
            f"lower rate is taken to need proportionally more steps."
        )

    def _beside(self) -> list[str]:
        """Return what curvature and scale-free weights say, as sentences."""
        said = []
        if math.isfinite(self.curvature_rate):
            said.append(f"Curvature at the start: 2/λ_max = {self.curvature_rate:.2g}.")
        if len(self.scale_free):
            per_lr = self.scale_free["effective_rate_per_lr"]
            said.append(
                f"Effective rate of {counted(len(per_lr), 'scale-free weight')}: "
                f"{per_lr.min():.2g} to {per_lr.max():.2g} times the learning rate (1/‖W‖²)."
            )
        return said

    def _printed(self) -> pd.DataFrame:
        shown = self.trials.assign(
            lr=self.trials["lr"].map("{:.2g}".format),
            last_loss=self.trials["last_loss"].map("{:.4g}".format).replace("nan", ""),
            in_window=self.trials["in_window"].map({True: "yes", False: ""}),
        )
        return shown.rename(columns={"last_loss": "last loss", "in_window": "in window"})
