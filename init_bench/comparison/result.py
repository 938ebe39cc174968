"""The result of a comparison: its tables, summary, figure and files."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from init_bench import figures
from init_bench.comparison import page
from init_bench.comparison.report import headlines, html_of, text_of
from init_bench.figures.export import files_of, images_of
from init_bench.files import make_folder, write_atomic, write_files
from init_bench.training.manifest import versions


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of ``compare``; printed, it says which side is better, and by how much.

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
        left_out: initializers without a counterpart in torch, where the whole menu is compared.
        folder: where everything is stored, if anywhere.
        failures: files about runs that failed, where they are stored.
        errors: the error of each run that failed, whether stored or not.
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

    @property
    def summary(self) -> str:
        """The verdict on each pair, a line each: which side is better, and by how much."""
        return "\n".join(headlines(self.verdicts))

    def figure(self) -> Figure:
        """Return one pair's draws, curves and differences, or a forest plot of several pairs."""
        if len(self.verdicts) == 1:
            return figures.pair_comparison(
                self.table, self.quantiles, self.curves, self.outcomes, title=self.summary
            )
        return figures.forest(self.table, self.verdicts)

    def to_json(self) -> str:
        """Return the table as JSON records, null where there is no finite number."""
        rows = self.table.replace([math.nan, math.inf, -math.inf], None).to_dict("records")
        return json.dumps(rows, ensure_ascii=False)

    def save(self, folder: str | Path) -> list[Path]:
        """Write table, figure, HTML and JSON into ``folder``; return the paths.

        The files are ``comparison.parquet``, ``comparison_runs.parquet`` (which runs of the folder
        belong to it), ``comparison.png``, ``.html`` and ``.json``, and
        ``figures/compare.png`` and ``.svg``, and the page ``report.html``.

        Raises:
            InitBenchError: ``folder`` is a file, or cannot be made or written.
        """
        folder = Path(folder)
        make_folder(folder)
        tables = {page.TABLE: self.table, page.RUNS: page.runs_of(self.curves)}
        for name, table in tables.items():
            write_atomic(folder / name, table.to_parquet)
        images = write_files(folder / "figures", images_of(self.figure(), "compare"))
        files = {**files_of(self, "comparison"), "report.html": self.report().encode()}
        return [*(folder / name for name in tables), *images, *write_files(folder, files)]

    def report(self) -> str:
        """Return the page of the comparison as HTML: one file that needs no network."""
        manifest = {"command": sys.argv, "versions": versions()}
        cells = page.cells_of(self.curves, self.outcomes)
        return page.report(self.table, self.verdicts, self.curves, cells, manifest)

    def __str__(self) -> str:
        alone = f"\nWithout a counterpart in torch.nn.init: {', '.join(self.left_out)}."
        return text_of(self.table, self.verdicts) + alone * bool(self.left_out)

    def _repr_html_(self) -> str:
        return html_of(self.table, self.verdicts, self.figure())
