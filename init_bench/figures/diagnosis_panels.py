"""Draw a model's signal, values and gradient over depth, with the findings marked."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.depth_panels import (
    FLOOR,
    draw_lines,
    draw_strip,
    draw_theory,
    draw_whole_spread,
    log_safe,
    name_layers,
    width_for,
)
from init_bench.figures.style import Canvas, drawing, need, whole_of

Marks = Mapping[str, tuple[str, str]]
"""Color and marker by verdict."""


SPARE = (("#7F7F7F", "o"), ("#882255", "d"), ("#44AA99", "h"), ("#999933", "p"), ("#332288", "H"))
"""Color and marker of verdicts that are given none."""


COLUMNS = ("step", "layer", "index", "nonlinear", "weight_gain", "std", "sample_std", "gradient")
"""What the figure reads of the profile."""


def diagnosis(
    profile: pd.DataFrame,
    verdicts: pd.DataFrame,
    histograms: pd.DataFrame,
    expected: pd.DataFrame | None = None,
    *,
    caption: str,
    marks: Marks | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw each layer's spread, histogram and, if known, gradient, over depth.

    Of several steps the first and the last are drawn. The layer in which a fault originates is
    named and shaded in the verdict's color, and its marker is filled. What is attributed to
    another layer has a hollow marker.

    Args:
        profile: a row per step and layer call: ``step``, ``layer``, ``index``, ``nonlinear``,
            ``weight_gain``, ``std``, ``sample_std``, ``gradient``.
        verdicts: ``step``, ``layer``, ``verdict``, ``severity``, ``cause``.
        histograms: ``step``, ``layer``, ``index``, ``centre``, ``share``, as ``Record.histograms``.
        expected: what mean-field theory predicts for the first step: ``layer``, ``std``,
            ``sample_std``, ``gradient`` as a multiple of that at the last layer.
        caption: written below.
        marks: color and marker by verdict; verdicts that are not named get spare ones.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> import init_bench as ib, torch
        >>> found = ib.diagnose(torch.nn.Linear(3, 2), torch.eye(3))
        >>> figure = diagnosis(found.profile, found.verdicts, found.histograms, caption="a layer")
        >>> figure.axes[0].get_ylabel()
        'spread of the output'
    """
    need(profile, *COLUMNS)
    need(verdicts, "step", "layer", "verdict", "severity", "cause")
    need(histograms, "step", "index", "centre", "share")
    steps_drawn = _steps_drawn(profile)
    marks = _complete(marks or {}, verdicts["verdict"].unique())
    graded = bool(profile["gradient"].notna().any())
    heights = [2.6, *[1.9 for _ in steps_drawn], *[2.2] * graded]
    width = width_for(len(steps_drawn[0]))
    words = f"{caption}{_legend_of(steps_drawn, verdicts)}"
    with drawing(figure, width, sum(heights) + 1.6, words) as canvas:
        panels = canvas.subplots(
            len(heights), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        gradients = verdicts["verdict"].str.endswith("gradient")
        _draw_signal(panels[0], steps_drawn, expected)
        _mark(panels[0], steps_drawn, verdicts[~gradients], "sample_std", marks)
        for ax, layers in zip(panels[1:], steps_drawn, strict=False):
            step = layers["step"].iloc[0]
            title = _at_step("values: histogram of each layer", step, len(steps_drawn))
            draw_strip(ax, layers, histograms[histograms["step"] == step], title)
        if graded:
            _draw_gradient(panels[-1], steps_drawn, expected)
            _mark(panels[-1], steps_drawn, verdicts[gradients], "gradient", marks)
        colors = _shade(list(panels), steps_drawn, verdicts, marks)
        name_layers(panels[-1], steps_drawn[0], colors, width=width)
    return whole_of(canvas)


def _legend_of(steps_drawn: list[pd.DataFrame], verdicts: pd.DataFrame) -> str:
    """Return sentences on what the marks mean and how zeros are drawn, where there are any."""
    drawn = pd.concat(steps_drawn)
    said = ""
    shown = verdicts[verdicts["layer"].isin(drawn["layer"])]
    if (shown["severity"] == "bad").any():
        said += (
            " Shaded, filled marker: a fault originates in this layer. Hollow marker: it follows "
            "from another layer's fault."
        )
    if (shown["severity"] == "watch").any():
        said += " Filled marker, not shaded: a layer to watch."
    if drawn["layer"].str.contains(":").any():
        said += (
            " A name with a colon, as in block:relu or :relu, is a function called in the forward "
            "of the module before the colon, or of the model."
        )
    if bool((drawn[["sample_std", "gradient"]] < FLOOR).any(axis=None)):
        said += f" What is below {FLOOR:g}, 0 too, is drawn there."
    return said


def _complete(marks: Marks, verdicts: Iterable[str]) -> Marks:
    """Return the marks, with spare ones for the verdicts that they do not name."""
    others = [verdict for verdict in verdicts if verdict not in marks]
    return {**dict(zip(others, itertools.cycle(SPARE), strict=False)), **marks}


def _steps_drawn(profile: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of the first and the last step, with the layers' positions as ``place``."""
    steps = sorted({profile["step"].min(), profile["step"].max()})
    steps_drawn = [profile[profile["step"] == step].sort_values("index") for step in steps]
    return [layers.assign(place=np.arange(1, len(layers) + 1)) for layers in steps_drawn]


def _at_step(title: str, step: int, steps: int) -> str:
    return f"{title}, step {step}" if steps > 1 else title


def _draw_signal(ax: Axes, steps_drawn: list[pd.DataFrame], expected: pd.DataFrame | None) -> None:
    for at, layers in enumerate(steps_drawn):
        suffix = _at_step("", layers["step"].iloc[0], len(steps_drawn))
        draw_lines(ax, layers, "sample_std", later=at > 0, suffix=suffix)
    dotted = ""
    if len(steps_drawn) == 1:
        draw_whole_spread(ax, steps_drawn[0])
        dotted = " (dotted: std)"
    if expected is not None:
        label = _at_step("theory (mean field)", steps_drawn[0]["step"].iloc[0], len(steps_drawn))
        draw_theory(ax, steps_drawn[0], expected, "sample_std", label)
    ax.set(yscale="log", ylabel="spread of the output")
    ax.set_title(f"signal: sample_std, the part that depends on the input{dotted}", fontsize=9)


def _draw_gradient(
    ax: Axes, steps_drawn: list[pd.DataFrame], expected: pd.DataFrame | None
) -> None:
    for at, layers in enumerate(steps_drawn):
        draw_lines(ax, layers, "gradient", later=at > 0)
    if expected is not None:
        last = steps_drawn[0].set_index("layer")["gradient"][expected["layer"].iloc[-1]]
        scaled = expected.assign(gradient=expected["gradient"] * last)
        draw_theory(ax, steps_drawn[0], scaled, "gradient", "_")
    ax.set(yscale="log", ylabel="RMS of ∂loss/∂output")
    ax.set_title("gradient (the loss is on the right)", fontsize=9)


def _mark(
    ax: Axes, steps_drawn: list[pd.DataFrame], verdicts: pd.DataFrame, column: str, marks: Marks
) -> None:
    """Put each finding's marker on its layer, filled where the fault originates."""
    places = pd.concat(steps_drawn).drop_duplicates(["step", "layer"])
    marked = verdicts.merge(places, on=["step", "layer"])
    size = min(60, max(20, 3000 / len(steps_drawn[0])))
    for (verdict, severity), part in marked.groupby(["verdict", "severity"], sort=False):
        color, marker = marks[str(verdict)]
        label = f"watch: {verdict}" if severity == "watch" else str(verdict)
        faces = [color if cause == "" else "none" for cause in part["cause"]]
        ax.scatter(
            part["place"], log_safe(part[column].fillna(0)), s=size, marker=marker, c=faces,
            edgecolors=color, zorder=3, label=label,
        )  # fmt: skip


def _shade(
    panels: Sequence[Axes], steps_drawn: list[pd.DataFrame], verdicts: pd.DataFrame, marks: Marks
) -> dict[int, str]:
    """Shade the layers in which faults originate.

    A strip shows those of its own step. Legends are put beside the panels.

    Returns:
        The colors of these layers and of those to watch, by position.
    """
    origins = verdicts[verdicts["severity"].isin(["bad", "watch"]) & (verdicts["cause"] == "")]
    drawn = origins.merge(pd.concat(steps_drawn), on=["step", "layer"])
    faults = drawn[drawn["severity"] == "bad"]
    steps = {at: layers["step"].iloc[0] for at, layers in enumerate(steps_drawn, start=1)}
    for at, ax in enumerate(panels):
        shown = faults[faults["step"] == steps[at]] if at in steps else faults
        for place, color in _colors(shown, marks).items():
            ax.axvspan(place - 0.5, place + 0.5, color=color, alpha=0.15, linewidth=0)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _colors(drawn, marks)


def _colors(starts: pd.DataFrame, marks: Marks) -> dict[int, str]:
    """Return the color of the first fault at each position."""
    first = starts.drop_duplicates("place")
    return {
        int(place): marks[str(verdict)][0]
        for place, verdict in zip(first["place"], first["verdict"], strict=True)
    }
