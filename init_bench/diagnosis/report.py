"""Report a diagnosis in words: its headline, its text and its page."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from init_bench.diagnosis.judgment import RATE_FIRST, ROOT, named
from init_bench.diagnosis.phrases import factor_span
from init_bench.diagnosis.rules.gradient_states import GRADIENT_STATE_RULES
from init_bench.diagnosis.rules.menu import RULES
from init_bench.figures.export import svg_of
from init_bench.words import capitalized, counted

COLUMNS = (
    *("layer", "verdict", "value", "limit", "recommended"),
    *("meaning", "quantity", "attributed to", "fix"),
)
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


ALL, APART = 0.9, 2.0
"""Share of the weights, and the factor between their std and the recommended one, from which the
scale of all of them is the answer rather than a layer that shows what comes of it."""


def answer(verdicts: pd.DataFrame, weights: pd.DataFrame) -> str:
    """Return what is wrong and what to fix first, for each step, in a sentence or two."""
    by_step = {
        step: _answer(verdicts[verdicts["step"] == step], weights[weights["step"] == step])
        for step in _steps(verdicts)
    }
    if len(by_step) == 1:
        return next(iter(by_step.values()))
    return " ".join(f"Step {step}: {said}" for step, said in by_step.items())


def size(name: str, profile: pd.DataFrame, weights: pd.DataFrame) -> str:
    """Return the model's class, how many layer calls were measured, and of how many matrices."""
    calls = profile.loc[profile["step"] == profile["step"].min(), "layer"]
    matrices = weights[weights["shape"].map(len) > 1]
    number = calls.drop_duplicates().isin(matrices["layer"]).sum()
    return (
        f"{name}: {counted(len(calls), 'layer call')} (normalizations and nonlinearities "
        f"included), {counted(number, 'layer')} with a weight matrix."
    )


def text(
    head: str, notes: Sequence[str], verdicts: pd.DataFrame, modules: Mapping[str, str]
) -> str:
    """Return headline, notes and a line per finding.

    What a value is, and what helps, follows the first finding of a kind. ``modules`` has the class
    of each layer.
    """
    lines, explained = [head, *notes], set()
    for row in _shown(verdicts).to_dict("records"):
        if row["severity"] == "ok":
            continue
        lines.append(_line(row, modules))
        below = [f"  value: {row['quantity']}"]
        if row["cause"]:
            lines[-1] += f" → {row['advice']}"
        else:
            below.append(f"  fix: {row['advice']}")
        lines += [line for line in below if line not in explained]
        explained.update(below)
    return "\n".join([*lines, *_left_out(verdicts)])


def page(head: str, notes: Sequence[str], verdicts: pd.DataFrame, figure: Figure) -> str:
    """Return headline, notes, findings and figure as HTML, without script."""
    shown = _shown(verdicts)
    shown = shown.assign(
        layer=shown["layer"].replace("", ROOT),
        value=[_value(row) for row in shown.to_dict("records")],
        limit=[_limit(row) for row in shown.to_dict("records")],
    ).rename(columns={"cause": "attributed to", "advice": "fix"})
    columns = [name for name in ("step", *COLUMNS) if name in shown]
    with pd.option_context("display.max_colwidth", None):
        table = shown[columns].to_html(index=False, float_format="{:.3g}".format, border=0)
    said = "".join(f"<p>{html.escape(line)}</p>" for line in (*notes, *_left_out(verdicts)))
    heading = f"<p><b>{html.escape(head)}</b></p>"
    return f'{STYLE}<div class="init-bench">{heading}{table}{said}{svg_of(figure)}</div>'


def _answer(verdicts: pd.DataFrame, weights: pd.DataFrame) -> str:
    """Return the answer for one step."""
    bad = verdicts[verdicts["severity"] == "bad"]
    if bad.empty:
        healthy = "signal and gradients healthy" if verdicts["step"].iloc[0] else "Healthy"
        near = verdicts.loc[verdicts["severity"] == "ok", "meaning"].iloc[0]
        watched = verdicts.loc[verdicts["severity"] == "watch", "layer"].nunique()
        watch = f", but {counted(watched, 'layer')} to watch" if watched else ""
        near = f"otherwise {near}" if watch else near
        return f"{healthy}{watch}. {capitalized(near)}."
    origins = bad[bad["cause"] == ""]
    number = origins["layer"].nunique()
    need = f"{counted(number, 'layer')} {'needs' if number == 1 else 'need'}"
    first = origins.iloc[0]
    shown = f"{named(first['layer'])} first: {first['meaning']}."
    if first["advice"].startswith(RATE_FIRST):
        shown = f"{named(first['layer'])}: {first['meaning']}"
        return f"{need} attention; try a smaller learning rate first. It shows at {shown}."
    if scale := _scale_of_all(origins, weights):
        return f"{need} attention; fix the scale of all weights: {scale}. It shows at {shown}"
    return f"{need} attention; fix {shown}"


def _scale_of_all(origins: pd.DataFrame, weights: pd.DataFrame) -> str:
    """Return by how much all weights together are off, empty where a layer of its own is at fault.

    A layer is at fault by itself if a local rule says so, or if it has no gradient at any scale;
    other rules see what many layers make.
    """
    alone = [rule for rule in RULES if rule.local or rule in GRADIENT_STATE_RULES]
    pairs = {(rule.verdict, rule.quantity) for rule in alone}
    if any(pair in pairs for pair in origins[["verdict", "quantity"]].itertuples(index=False)):
        return ""
    known = weights[(weights["recommended_std"] > 0) & (weights["std"] > 0)]
    times = known["std"] / known["recommended_std"]
    for factors, side in ((1 / times, "below"), (times, "above")):
        apart = factors[factors > APART]
        if len(apart) >= max(2, ALL * len(factors)):
            return (
                f"std {factor_span(apart)} {side} the recommended one in {len(apart)} of "
                f"{len(factors)}"
            )
    return ""


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
    """Return one finding as one line: layer, verdict, value and limit."""
    step = f"step {row['step']}, " if "step" in row else ""
    watch = f"{WATCH}: " if row["severity"] == "watch" else ""
    kind = f" ({modules[row['layer']]})" if row["layer"] in modules else ""
    side = "above" if row["value"] > row["threshold"] else "below"
    value = f"value {row['value']:.3g} {side} the limit {row['threshold']:.3g}"
    if row["recommended"] > 0:
        value += f" (recommended {row['recommended']:.3g})"
    return f"{watch}{step}{named(row['layer'])}{kind}: {row['verdict']}, {value}"


def _value(row: dict[Any, Any]) -> str:
    """Return the value; that of a healthy network is a margin, not a quantity."""
    return f"margin {row['value']:.3g}" if row["severity"] == "ok" else f"{row['value']:.3g}"


def _limit(row: dict[Any, Any]) -> str:
    """Return on which side of the limit the value lies, and the limit."""
    return f"{'>' if row['value'] > row['threshold'] else '<'} {row['threshold']:.3g}"
