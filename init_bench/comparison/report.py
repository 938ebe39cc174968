"""Write a comparison as text or HTML: each pair's verdict and the numbers behind it."""

import math
import textwrap
from html import escape

import pandas as pd
from matplotlib.figure import Figure

from init_bench.comparison.measurements import DRAW_ALPHA, TRAIN_ALPHA, TURNS
from init_bench.comparison.pair_verdicts import Record, records, unit_of
from init_bench.figures.export import scrolled_svg_of
from init_bench.training.tables import LAST_STEPS

_CONFIDENCE = "95 % for training, 96 % for speed, 99.9 % for draws."


LEGEND = {
    "[": f"[low, high]: interval of the number before it, {_CONFIDENCE}",
    "ci_low": f"ci_low, ci_high: ends of the interval of the value, {_CONFIDENCE}",
    "KS distance": "KS distance: largest gap between the cumulative distributions of the weights, "
    "from 0 (equal) to 1.",
    "p_holm": "p_holm: p-value, corrected for the number of tests (Holm). A difference counts "
    f"below {DRAW_ALPHA:g} for draws, below {TRAIN_ALPHA:g} for training.",
    ", look ": "Look k of K: seeds were added where no difference showed; each look takes 1/K of "
    "that limit.",
    "loss": f"Final loss: mean of the last {LAST_STEPS} steps, of all if there are fewer. Mean "
    "loss: mean of all steps. Both: mean over seeds.",
    "shape": "Shapes: weights with outputs x inputs [x kernel], such as 256x64: 256 outputs, 64 "
    "inputs.",
}
"""Lines that explain a word of the result, by the word: each is shown where the word is."""


def legend_of(*texts: str) -> list[str]:
    """Return the lines of the legend that explain a word of the texts.

    Example:
        >>> legend_of("KS distance up to 0.02, std of a / std of b 1")
        ['KS distance: largest gap between the cumulative distributions of the weights, from 0 (equal) to 1.']
    """  # noqa: E501 - the doctest shows a line as it is
    return [line for word, line in LEGEND.items() if any(word in text for text in texts)]


def headlines(verdicts: dict[str, str]) -> list[str]:
    """Return a line per pair: its verdict.

    Example:
        >>> headlines({"zeros vs ones": "differs: zeros trains better: final loss lower by 1"})
        ['zeros vs ones: zeros trains better: final loss lower by 1']
    """
    return [f"{pair}: {verdict.removeprefix('differs: ')}" for pair, verdict in verdicts.items()]


def text_of(table: pd.DataFrame, verdicts: dict[str, str]) -> str:
    """Return a block per pair (verdict, draws, training, speed) and a legend."""
    blocks = []
    for pair, headline in zip(verdicts, headlines(verdicts), strict=True):
        rows = table[table["pair"] == pair]
        head = textwrap.fill(headline, 100, subsequent_indent="    ")
        blocks.append("\n".join([head, *(f"  {line}" for line in measured_lines(rows))]))
    return "\n".join([*blocks, "", *(textwrap.fill(line, 100) for line in legend_of(*blocks))])


def html_of(table: pd.DataFrame, verdicts: dict[str, str], figure: Figure) -> str:
    """Return the same as a table, with the figure as inline SVG."""
    lines = {pair: measured_lines(table[table["pair"] == pair]) for pair in verdicts}
    measured = [line for of_pair in lines.values() for line in of_pair]
    cells = [
        f"<tr><td>{escape(pair)}</td><td>{escape(verdict)}</td><td>"
        f"{'<br>'.join(map(escape, lines[pair]))}</td></tr>"
        for pair, verdict in verdicts.items()
    ]
    head = "<tr><th>pair (a vs b)</th><th>verdict</th><th>measured</th></tr>"
    legend = "<br>".join(escape(line) for line in legend_of(*verdicts.values(), *measured))
    verdict_table = f'<table style="white-space: normal">{head}{"".join(cells)}</table>'
    return f"{verdict_table}<p>{legend}</p>{scrolled_svg_of(figure)}"


def measured_lines(rows: pd.DataFrame) -> list[str]:
    """Return what was measured of a pair, question by question."""
    a, b = rows[["a", "b"]].iloc[0]
    return [f"a = {a}, b = {b}", _draws(rows), *_training(rows), _speed(rows)]


def _draws(rows: pd.DataFrame) -> str:
    bits = rows[rows["quantity"] == "same bits"]
    compared = bits[bits["value"].notna()]
    if compared.empty:
        return f"draws     not compared: {bits['note'].iloc[0]}"
    equal = int((compared["value"] == 1).sum())
    parts = [f"from the same seed, the same bits on {equal} of {len(compared)} {unit_of(bits)}"]
    if measured := _distances(rows):
        parts.append(f"from different seeds, {measured}")
    different = rows.loc[rows["verdict"] == "not as stated", "quantity"].unique()
    parts += [f"{quantity} not as its definition states" for quantity in different]
    if refused := len(bits) - len(compared):
        parts.append(f"{refused} of {len(bits)} shapes cannot be filled")
    return f"draws     {'; '.join(parts)}"


def _distances(rows: pd.DataFrame) -> str:
    """Return the largest KS distance and the range of std ratios, over all shapes or layers."""
    measured = []
    distances = records(rows[rows["quantity"] == "KS distance"])
    if distances:
        largest = max(distances, key=lambda row: row["value"])
        measured.append(f"KS distance up to {largest['value']:.3g} ({_p(largest)})")
    ratio = rows.loc[rows["quantity"] == "std ratio", "value"]
    if ratio.notna().any():
        low, high = f"{ratio.min():.4g}", f"{ratio.max():.4g}"
        measured.append(f"std of a / std of b {low if low == high else f'{low} to {high}'}")
    return ", ".join(measured)


def _training(rows: pd.DataFrame) -> list[str]:
    """Return the network that was trained, then a line per loss and one on divergence."""
    trained = records(rows[rows["question"] == "training"])
    lines = [f"training  {trained[0]['setting']}"]
    for row in trained:
        if row["quantity"] == "same start":
            if math.isnan(row["value"]):
                return [f"training  not compared: {row['note']}"]
            continue
        if math.isnan(row["p"]) and row["quantity"] != "diverged":
            return [*lines, f"training  {row['note']}"]
        lines.append(f"training  {_difference(row)}")
    return lines


def _difference(row: Record) -> str:
    """Return both sides' numbers of one quantity of training, and their difference."""
    if row["quantity"] == "diverged":
        return (
            "no run diverged"
            if math.isnan(row["p"])
            else (f"diverged {row['note']} ({_p(row)}): {row['verdict']}")
        )
    interval = f"[{row['ci_low']:+.3g}, {row['ci_high']:+.3g}]"
    return (
        f"{row['quantity']} {row['note']}; a - b: {row['value']:+.3g} {interval} ({_p(row)}): "
        f"{row['verdict']}"
    )


def _speed(rows: pd.DataFrame) -> str:
    row = records(rows[rows["question"] == "speed"])[0]
    if math.isnan(row["value"]):
        return f"speed     not measured: {row['note']}"
    verdict = row["verdict"]
    named = f"{row['a']} is {verdict}" if verdict in ("faster", "slower") else verdict
    return (
        f"speed     {named}: filling {row['setting']}, time of a / time of b is "
        f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}] over {TURNS} rounds "
        f"({row['note']})"
    )


def _p(row: Record) -> str:
    p = row["p_holm"]
    return f"p_holm {p:.2g}" if p > 0 else "p_holm below 1e-300"
