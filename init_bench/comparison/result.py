"""The result of a comparison, and its faces."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.comparison.report import html_of, text_of


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a comparison found; printed, it says so in words and numbers.

    Attributes:
        table: a row per pair and measured number: ``pair`` (``a`` vs ``b``), ``question``
            (distribution, training, speed), ``setting``, ``quantity``, ``definition``, ``value``,
            ``ci_low``, ``ci_high``, ``p``, ``p_holm``, ``n`` (draws, entries or seeds behind
            it), ``verdict``, ``note``.
        verdicts: pair → ``the same bits``, ``the same distribution``, ``differs: …``, or why the
            two could not be compared.
        quantiles: of the entries of both sides, where one pair is compared.
        curves: loss per step of the runs.
        outcomes: a row per run: ``init``, ``seed``, ``status``, ``final_loss``, ``mean_loss``.
        left_out: initialisers of ours that have no counterpart, where all were asked for.
        folder: where all is stored, if anywhere.
        failures: files about runs that failed, where they are stored.
        errors: what those runs failed of, whether stored or not.
    """

    table: pd.DataFrame
    verdicts: dict[str, str]
    quantiles: pd.DataFrame
    curves: pd.DataFrame
    outcomes: pd.DataFrame
    left_out: tuple[str, ...] = ()
    folder: Path | None = None
    failures: tuple[Path, ...] = ()
    errors: tuple[str, ...] = ()

    def figure(self) -> Figure:
        """Return one pair's draws, curves and differences, or a forest plot of several pairs."""
        if len(self.verdicts) == 1:
            ((pair, verdict),) = self.verdicts.items()
            return figures.pair_comparison(
                self.table, self.quantiles, self.curves, self.outcomes, title=f"{pair}\n{verdict}"
            )
        return figures.forest(self.table, self.verdicts)

    def to_json(self) -> str:
        """Return the table as JSON records, null where there is no finite number."""
        rows = self.table.replace([math.nan, math.inf, -math.inf], None).to_dict("records")
        return json.dumps(rows, ensure_ascii=False)

    def __str__(self) -> str:
        alone = f"no counterpart in torch.nn.init: {', '.join(self.left_out)}"
        return text_of(self.table, self.verdicts) + f"\n{alone}" * bool(self.left_out)

    def _repr_html_(self) -> str:
        return html_of(self.table, self.verdicts, self.figure())
