"""A comparison at a glance: each pair's verdict and the numbers behind it."""

import io
import math
import textwrap
from html import escape

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from init_bench.comparison.verdicts import Record, records
from init_bench.figures.style import RC


def text_of(table: pd.DataFrame, verdicts: dict[str, str]) -> str:
    """Return a block per pair: verdict, draws, training, speed."""
    blocks = []
    for pair, verdict in verdicts.items():
        rows = table[table["pair"] == pair]
        head = textwrap.fill(f"{pair}: {verdict}", 100, subsequent_indent="    ")
        blocks.append("\n".join([head, *(f"  {line}" for line in _lines(rows))]))
    return "\n".join(blocks)


def html_of(table: pd.DataFrame, verdicts: dict[str, str], figure: Figure) -> str:
    """Return the same as a table, with the figure as inline SVG."""
    cells = [
        f"<tr><td>{escape(pair)}</td><td>{escape(verdict)}</td><td>"
        f"{'<br>'.join(escape(line) for line in _lines(table[table['pair'] == pair]))}</td></tr>"
        for pair, verdict in verdicts.items()
    ]
    head = "<tr><th>pair (a vs b)</th><th>verdict</th><th>measured</th></tr>"
    return f"<table>{head}{''.join(cells)}</table>{_svg(figure)}"


def _lines(rows: pd.DataFrame) -> list[str]:
    """Return what was measured of a pair, a line per question."""
    found = [_draws(rows), *_training(rows), _speed(rows)]
    return [line for line in found if line]


def _draws(rows: pd.DataFrame) -> str:
    bits = rows[rows["quantity"] == "same bits"]
    seen = bits[bits["value"].notna()]
    if seen.empty:
        return f"draws     not compared: {bits['note'].iloc[0]}"
    equal = int((seen["value"] == 1).sum())
    distances = records(rows[rows["quantity"] == "KS distance"])
    far = max(distances, key=lambda row: row["value"], default=None)
    distance = [f"KS distance at most {far['value']:.3g} ({_p(far)})"] if far else []
    whole = bits["setting"].str.startswith("layer").any()
    ratio = rows[rows["quantity"] == "std ratio"]["value"]
    gone = len(bits) - len(seen)
    refused = f"; {gone} of {len(bits)} shapes refused" if gone else ""
    spread = [f"std a / b {ratio.min():.4g} to {ratio.max():.4g}"] if ratio.notna().any() else []
    measured = ", ".join([*distance, *spread])
    apart = f"; between draws from other seeds for a and b: {measured}" if measured else ""
    unlike = rows.loc[rows["verdict"] == "not as stated", "quantity"].unique()
    stated = "".join(f"; {quantity} not as stated" for quantity in unlike)
    return (
        f"draws     same bits on {equal} of {len(seen)} {'layers' if whole else 'shapes'}"
        f"{apart}{stated}{refused}"
    )


def _training(rows: pd.DataFrame) -> list[str]:
    trained = rows[rows["question"] == "training"]
    lines = []
    for row in records(trained):
        if row["quantity"] == "same start":
            if math.isnan(row["value"]):
                return [f"training  not compared: {row['note']}"]
            continue
        if math.isnan(row["p"]) and row["quantity"] != "diverged":
            return [f"training  {row['note']}"]
        interval = f" [{row['ci_low']:+.3g}, {row['ci_high']:+.3g}] ({_p(row)})"
        number = f"{row['value']:+.3g}{interval}, " if row["quantity"] != "diverged" else ""
        verdict = f": {row['verdict']}" if not math.isnan(row["p"]) else ""
        lines.append(f"training  {row['quantity']} {number}{row['note']}{verdict}")
    return lines


def _speed(rows: pd.DataFrame) -> str:
    row = rows[rows["question"] == "speed"].iloc[0]
    if math.isnan(row["value"]):
        return f"speed     not measured: {row['note']}"
    return (
        f"speed     {row['verdict']}: {row['value']:.2f} of b's time "
        f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}] for {row['setting']}; {row['note']}"
    )


def _p(row: Record) -> str:
    p = row["p_holm"]
    return f"p_holm {p:.2g}" if p > 0 else "p_holm below 1e-300"


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with mpl.rc_context(RC):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
