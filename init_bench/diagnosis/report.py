"""Findings in words: the headline of a diagnosis, its text and its page."""

import html
import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.findings import ROOT

SHOWN = ("layer", "verdict", "value", "threshold", "quantity", "cause", "advice")
"""Columns of the page's table; ``step`` in front where there are several."""


MOST_ROWS = 20
"""Findings that text and page show of all steps together; the rest is counted."""


FEWEST_ROWS = 5
"""Findings shown of each step, however many steps there are."""


STYLE = """<style>
.init-bench table {border-collapse: collapse; margin: 0.5em 0}
.init-bench td, .init-bench th {padding: 0.2em 0.8em; text-align: left; vertical-align: top}
.init-bench th {border-bottom: 1px solid currentColor; white-space: nowrap}
.init-bench svg {max-width: 100%; height: auto; background: white}
</style>"""
"""Colours are those of the page around, be it dark; the figure brings its own white ground."""


def headline(
    name: str, profile: pd.DataFrame, weights: pd.DataFrame, verdicts: pd.DataFrame
) -> str:
    """Return model, size and, for each step, what is wrong and where it starts, in a line."""
    layers = profile["layer"].drop_duplicates()
    matrices = weights[weights["shape"].map(len) > 1]
    size = f"{name}, {len(layers)} layers, {layers.isin(matrices['layer']).sum()} with weights"
    found = {step: _gist(verdicts[verdicts["step"] == step]) for step in _steps(verdicts)}
    if len(found) == 1:
        return f"{size}: {found[0]}."
    return f"{size}. {' '.join(f'Step {step}: {gist}.' for step, gist in found.items())}"


def _steps(verdicts: pd.DataFrame) -> list[int]:
    return [int(step) for step in verdicts["step"].unique()]


def _gist(verdicts: pd.DataFrame) -> str:
    bad = verdicts[verdicts["severity"] == "bad"]
    if bad.empty:
        return "healthy"
    starts = bad[bad["cause"] == ""]
    return f"{', '.join(starts['verdict'].unique())}; starts at {starts['layer'].iloc[0] or ROOT}"


def text(head: str, notes: Sequence[str], verdicts: pd.DataFrame) -> str:
    """Return headline, notes, a line per finding, and what each number is and what helps."""
    lines = [head, *notes, *map(_line, _shown(verdicts).to_dict("records"))]
    lines += _left_out(verdicts)
    # Where a fault starts comes first: what only follows adds its definition alone.
    starts_first = verdicts.sort_values("cause", key=lambda cause: cause != "", kind="stable")
    for row in starts_first.drop_duplicates(["verdict", "quantity"]).to_dict("records"):
        lines.append(f"{row['verdict']}: {row['quantity']}")
        if row["advice"] and not row["cause"]:
            lines.append(f"  → {row['advice']}")
    return "\n".join(lines)


def page(head: str, notes: Sequence[str], verdicts: pd.DataFrame, figure: Figure) -> str:
    """Return headline, notes, findings and figure as HTML, without script."""
    shown = _shown(verdicts)
    columns = [name for name in ("step", *SHOWN) if name in shown]
    with pd.option_context("display.max_colwidth", None):
        table = shown[columns].to_html(index=False, float_format="{:.3g}".format, border=0)
    svg = io.StringIO()
    figure.savefig(svg, format="svg")
    picture = svg.getvalue().partition("<svg")[2]
    said = "".join(f"<p>{html.escape(line)}</p>" for line in (*notes, *_left_out(verdicts)))
    heading = f"<p><b>{html.escape(head)}</b></p>"
    return f'{STYLE}<div class="init-bench">{heading}{table}{said}<svg{picture}</div>'


def document(title: str, body: str) -> str:
    """Return a whole HTML document around what ``page`` returned."""
    head = f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title>"
    return f"{head}<body style='font-family: sans-serif'>{body}"


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the first findings of each step, without ``step`` where there is but one."""
    steps = len(_steps(verdicts))
    most = max(FEWEST_ROWS, MOST_ROWS // steps)
    shown = verdicts.groupby("step").head(most)
    shown = shown.assign(layer=shown["layer"].replace("", ROOT))
    return shown if steps > 1 else shown.drop(columns="step")


def _left_out(verdicts: pd.DataFrame) -> list[str]:
    number = len(verdicts) - len(_shown(verdicts))
    return [f"… and {number} more findings"] if number else []


def _line(row: dict[Any, Any]) -> str:
    """Return one finding as one line."""
    step = f"step {row['step']:<6} " if "step" in row else ""
    verdict = f"watch: {row['verdict']}" if row["severity"] == "watch" else row["verdict"]
    measured = f"{row['value']:<10.3g} threshold {row['threshold']:.3g}"
    follows = f"  → {row['advice']}" if row["cause"] else ""
    return f"{step}{row['layer']:<32} {verdict:<20} {measured}{follows}"
