"""Prepare signal, gradient and spread of each layer over depth and captured steps."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from init_bench.figures.page.document import Section
from init_bench.figures.page.grid_axes import Axes, neighbors
from init_bench.figures.page.numbers import rounded
from init_bench.figures.style import need

QUANTITIES = {
    "sample_std": "signal: sample_std, the part that depends on the input",
    "std": "spread of all values: std",
    "correlation": "correlation of two samples",
    "gradient": "gradient: std of ∂loss/∂z, relative to the last hidden layer",
}
"""What is drawn over depth, and its name."""


SPREAD = ("mean", "std", "min", "max", "zero")
"""What is drawn of each layer's values."""


MOST_STEPS = 12
"""Captured steps on the slider: those that most runs share. A run that diverges is captured then,
at a step of its own."""


MOST_ROWS = 24_000
"""Rows, of a combination, step and layer each, that a section holds; the best runs come first."""


def hidden_layers(layers: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return a row per network, step and hidden activation: its number and relative gradient too.

    Args:
        layers: the axes, ``seed``, ``step``, ``layer``, ``index``, ``kind`` and statistics.
        axes: names of the axes.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(layers, *axes, "seed", "step", "layer", "index", "kind", "sample_std", "correlation")
    steps = layers.groupby("step")["seed"].size().nlargest(MOST_STEPS).index
    layers = layers[layers["step"].isin(steps)]
    network = [*axes, "seed", "step"]
    hidden = layers[layers["kind"] == "activation"]
    gradient = layers.loc[layers["kind"] == "gradient", [*network, "index", "std"]]
    rows = hidden.merge(
        gradient.rename(columns={"std": "gradient"}), on=[*network, "index"], how="left"
    )
    rows = rows.sort_values("index", kind="stable", ignore_index=True)
    last = rows.groupby(network)["gradient"].transform("last")
    place = rows.groupby(network)["index"].rank(method="dense").astype(int)
    return rows.assign(gradient=rows["gradient"] / last, hidden_layer=place)


def depth_section(
    hidden: pd.DataFrame,
    runs: pd.DataFrame,
    axes: Sequence[str],
    *,
    expected: pd.DataFrame | None = None,
) -> Section:
    """Return signal and gradient over depth, with what theory predicts beside the measurement.

    Args:
        hidden: rows of ``hidden_layers``.
        runs: a row per combination: the axes, ``cells``, ``final_loss``.
        axes: names of the axes; the first has a color for each value.
        expected: a prediction for step 0: the axes, ``hidden_layer`` and columns of ``QUANTITIES``.
    """
    numbered = Axes(runs, axes)
    predicted = _predicted(expected, numbered, axes)
    lines = []
    for values, layers, found in _over_seeds(hidden, runs, axes, tuple(QUANTITIES)):
        at = numbered.at(values[:-1])
        line = {"at": at, "step": int(values[-1]), "label": numbered.label(values[:-1])}
        line["layers"] = layers
        line |= {name: ends for name, ends in found.items() if any(v is not None for v in ends[0])}
        if line["step"] == 0 and (theory := predicted.get(tuple(at))):
            line["theory"] = theory
        lines.append(line)
    theory_said = (
        " Dashed: mean-field theory from the measured first layer on." if predicted else ""
    )
    return Section(
        kind="depth",
        title="Signal and gradient over depth",
        lead=f"{_thinned(lines, hidden, axes)}Mean over seeds, band from the lowest to the highest "
        f"seed.{theory_said}",
        data={
            "axes": numbered.to_dict(),
            "lines": lines,
            "steps": _steps(lines),
            "quantities": QUANTITIES,
        },
    )


def spread_section(hidden: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str]) -> Section:
    """Return the range and spread of each layer's values, to be followed over captured steps.

    Args:
        hidden: rows of ``hidden_layers``, with ``mean``, ``min``, ``max``, ``zero``.
        runs: a row per combination: the axes, ``cells``, ``final_loss``.
        axes: names of the axes.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(hidden, *axes, *SPREAD)
    numbered = Axes(runs, axes)
    lines = []
    for values, layers, found in _over_seeds(hidden, runs, axes, SPREAD):
        line = {"at": numbered.at(values[:-1]), "step": int(values[-1]), "layers": layers}
        lines.append(line | {name: ends[0] for name, ends in found.items()})
    return Section(
        kind="spread",
        title="Activations during training",
        lead=f"{_thinned(lines, hidden, axes)}Thin: from the least to the greatest value of a "
        "hidden layer; thick: mean ±1 standard deviation; mean over seeds. The number is the share "
        "of exact zeros.",
        data={"axes": numbered.to_dict(), "lines": lines, "steps": _steps(lines)},
    )


def thinned(drawn: int, total: int) -> str:
    """Say how many combinations are drawn, where others are left out.

    Example:
        >>> thinned(20, 300), thinned(300, 300)
        ('The best 20 of 300 combinations. ', '')
    """
    return f"The best {drawn} of {total} combinations. " if drawn < total else ""


def _thinned(lines: Sequence[Mapping[str, Any]], hidden: pd.DataFrame, axes: Sequence[str]) -> str:
    drawn = {tuple(line["at"]) for line in lines}
    return thinned(len(drawn), len(hidden.drop_duplicates(list(axes))))


def _steps(lines: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({int(line["step"]) for line in lines})


ENDS = ("mean", "min", "max")
"""What is drawn of the values of several seeds."""


def _over_seeds(
    hidden: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], list[str], dict[str, list[list[float | None]]]]]:
    """Yield each combination and step, its layers, and over these ``ENDS`` of each quantity.

    The best combinations come first.
    """
    order = runs.sort_values("final_loss", na_position="last")[list(axes)]
    ranked = order.assign(rank=range(len(order))).merge(hidden, on=list(axes))
    per_rank = ranked.groupby("rank")[["step", "hidden_layer"]].nunique().prod(axis=1).cumsum()
    kept = per_rank[per_rank <= max(MOST_ROWS, per_rank.min())].index
    groups = ranked[ranked["rank"].isin(kept)].groupby(["rank", *axes, "step", "hidden_layer"])
    layers = groups["layer"].first()
    ends = {end: groups[list(names)].agg(end) for end in ENDS}
    columns = {name: [rounded(ends[end][name]) for end in ENDS] for name in names}
    for values, part in neighbors(layers.index.to_frame(index=False), [*axes, "step"]):
        found = {name: [column[part] for column in columns[name]] for name in names}
        yield values, layers.iloc[part].tolist(), found


def _predicted(
    expected: pd.DataFrame | None, numbered: Axes, axes: Sequence[str]
) -> dict[tuple[int, ...], dict[str, list[float | None]]]:
    """Return the predicted values over depth of each combination."""
    if expected is None or expected.empty:
        return {}
    found = {}
    for values, part in expected.sort_values("hidden_layer").groupby(list(axes), sort=False):
        row = values if isinstance(values, tuple) else (values,)
        found[tuple(numbered.at(row))] = {n: rounded(part[n]) for n in QUANTITIES if n in part}
    return found
