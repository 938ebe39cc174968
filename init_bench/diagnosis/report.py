"""Report a diagnosis in words: its headline, its text and its page."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.judgement import ROOT
from init_bench.figures.export import svg_of

COLUMNS = ("layer", "verdict", "value", "limit", "meaning", "quantity", "attributed to", "fix")
"""Columns of the page's table; ``step`` comes first where there are several."""


MOST_ROWS = 20
"""Findings that text and page show of all steps together; the rest is counted."""


FEWEST_ROWS = 5
"""Findings shown of each step, however many steps there are."""


WATCH = "watch (trains, but slower or at fewer learning rates)"
"""How the text names what is to be watched."""


STYLE = """<style>
.init-bench table {border-collapse: collapse; margin: 0.5em 0}
.init-bench td, .init-bench th {padding: 0.2em 0.8em; text-align: left; vertical-align: top}
.init-bench th {border-bottom: 1px solid currentColor; white-space: nowrap}
.init-bench svg {max-width: 100%; height: auto; background: white}
</style>"""
"""Colors are those of the surrounding page, light or dark; the figure has a white ground."""


def answer(verdicts: pd.DataFrame) -> str:
    """Return what is wrong and what to fix first, for each step, in a sentence or two."""
    by_step = {step: _answer(verdicts[verdicts["step"] == step]) for step in _steps(verdicts)}
    if len(by_step) == 1:
        return next(iter(by_step.values()))
    return " ".join(f"Step {step}: {said}" for step, said in by_step.items())


def size(name: str, profile: pd.DataFrame, weights: pd.DataFrame) -> str:
    """Return the model's class and how many layers it has."""
    layers = profile["layer"].drop_duplicates()
    matrices = weights[weights["shape"].map(len) > 1]
    number = layers.isin(matrices["layer"]).sum()
    return f"{name}, {len(layers)} layers, {number} with weight matrices."


def text(
    head: str, notes: Sequence[str], verdicts: pd.DataFrame, modules: Mapping[str, str]
) -> str:
    """Return headline, notes and a line per finding, with what helps after each first one.

    ``modules`` has the class of each layer.
    """
    lines, advised = [head, *notes], set()
    for row in _shown(verdicts).to_dict("records"):
        if row["severity"] == "ok":
            continue
        lines.append(_line(row, modules))
        if row["cause"]:
            lines[-1] += f" → {row['advice']}"
        elif row["advice"] not in advised:
            advised.add(row["advice"])
            lines.append(f"  fix: {row['advice']}")
    return "\n".join([*lines, *_left_out(verdicts)])


def page(head: str, notes: Sequence[str], verdicts: pd.DataFrame, figure: Figure) -> str:
    """Return headline, notes, findings and figure as HTML, without script."""
    shown = _shown(verdicts)
    shown = shown.assign(
        layer=shown["layer"].replace("", ROOT),
        limit=[_limit(row) for row in shown.to_dict("records")],
    ).rename(columns={"cause": "attributed to", "advice": "fix"})
    columns = [name for name in ("step", *COLUMNS) if name in shown]
    with pd.option_context("display.max_colwidth", None):
        table = shown[columns].to_html(index=False, float_format="{:.3g}".format, border=0)
    said = "".join(f"<p>{html.escape(line)}</p>" for line in (*notes, *_left_out(verdicts)))
    heading = f"<p><b>{html.escape(head)}</b></p>"
    return f'{STYLE}<div class="init-bench">{heading}{table}{said}{svg_of(figure)}</div>'


def _answer(verdicts: pd.DataFrame) -> str:
    """Return the answer for one step."""
    bad = verdicts[verdicts["severity"] == "bad"]
    if bad.empty:
        near = verdicts.loc[verdicts["severity"] == "ok", "meaning"].iloc[0]
        return f"Healthy. {near[:1].upper()}{near[1:]}."
    origins = bad[bad["cause"] == ""]
    number = origins["layer"].nunique()
    need = "1 layer needs" if number == 1 else f"{number} layers need"
    first = origins.iloc[0]
    return f"{need} attention; fix {first['layer'] or ROOT} first: {first['meaning']}."


def _steps(verdicts: pd.DataFrame) -> list[int]:
    return [int(step) for step in verdicts["step"].unique()]


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the first findings of each step, without ``step`` where there is only one."""
    steps = len(_steps(verdicts))
    shown = verdicts.groupby("step").head(max(FEWEST_ROWS, MOST_ROWS // steps))
    return shown if steps > 1 else shown.drop(columns="step")


def _left_out(verdicts: pd.DataFrame) -> list[str]:
    number = len(verdicts) - len(_shown(verdicts))
    return [f"… and {number} more findings"] if number else []


def _line(row: dict[Any, Any], modules: Mapping[str, str]) -> str:
    """Return one finding as one line: layer, verdict, value, limit and what the value is."""
    step = f"step {row['step']}, " if "step" in row else ""
    watch = f"{WATCH}: " if row["severity"] == "watch" else ""
    kind = f" ({modules[row['layer']]})" if row["layer"] in modules else ""
    layer = f'layer "{row["layer"]}"{kind}' if row["layer"] else ROOT
    side = _limit(row).replace(" ", " limit ")
    return f"{watch}{step}{layer}: {row['verdict']} {row['value']:.3g} {side} ({row['quantity']})"


def _limit(row: dict[Any, Any]) -> str:
    """Return on which side of the limit the value lies, and the limit."""
    return f"{'>' if row['value'] > row['threshold'] else '<'} {row['threshold']:.3g}"
