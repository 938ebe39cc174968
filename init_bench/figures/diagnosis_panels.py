"""`diagnosis`: a model's signal, values and gradient over depth, what is wrong marked on them."""

from collections.abc import Sequence

import matplotlib as mpl
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
)
from init_bench.figures.style import RC, add_caption, need, new_figure

VERDICT_LOOKS: dict[str, tuple[str, str]] = {
    "healthy": ("#009E73", "o"),
    "vanishing_signal": ("#0072B2", "v"),
    "exploding_signal": ("#D55E00", "^"),
    "saturated": ("#E69F00", "s"),
    "dead_units": ("#000000", "X"),
    "collapsed": ("#56B4E9", "D"),
    "symmetric": ("#CC79A7", "P"),
    "vanishing_gradient": ("#0072B2", "<"),
    "exploding_gradient": ("#D55E00", ">"),
    "nonfinite": ("#7F0000", "*"),
}
"""Colour and marker of each verdict."""


COLUMNS = ("step", "layer", "index", "nonlinear", "weight_gain", "std", "sample_std", "gradient")
"""What the figure reads of the profile."""


def diagnosis(
    profile: pd.DataFrame,
    verdicts: pd.DataFrame,
    histograms: pd.DataFrame,
    expected: pd.DataFrame | None = None,
    *,
    caption: str,
) -> Figure:
    """Draw each layer's spread, how its values lie and, if known, its gradient, over depth.

    Of several steps the first and the last are drawn. Where a fault starts its layer is named and
    shaded in the verdict's colour and its mark is filled; what follows from it is hollow.

    Args:
        profile: a row per step and layer call: ``step``, ``layer``, ``index``, ``nonlinear``,
            ``weight_gain``, ``std``, ``sample_std``, ``gradient``.
        verdicts: ``step``, ``layer``, ``verdict``, ``severity``, ``cause``.
        histograms: ``step``, ``layer``, ``index``, ``centre``, ``share``, as ``Record.histograms``.
        expected: ``layer``, ``std``, ``sample_std``, ``gradient`` as a multiple of that at the last
            layer: what theory says of the first step.
        caption: written below.

    Returns:
        A figure outside pyplot's state; neither a frame nor the global theme is altered.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(profile, *COLUMNS)
    need(verdicts, "step", "layer", "verdict", "severity", "cause")
    need(histograms, "step", "index", "centre", "share")
    looks = _looks(profile)
    graded = bool(profile["gradient"].notna().any())
    heights = [2.6, *[1.9 for _ in looks], *[2.2] * graded]
    width = min(16.0, max(8.0, 0.16 * len(looks[0]) + 4))
    figure = new_figure(width, sum(heights) + 1.6)
    with mpl.rc_context(RC):
        panels = figure.subplots(
            len(heights), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        gradients = verdicts["verdict"].str.endswith("gradient")
        _draw_signal(panels[0], looks, verdicts[~gradients], expected)
        for ax, look in zip(panels[1:], looks, strict=False):
            step = look["step"].iloc[0]
            found = histograms[histograms["step"] == step]
            draw_strip(
                ax,
                look,
                found,
                _at_step("values: how they are spread within each layer", step, len(looks)),
            )
        if graded:
            _draw_gradient(panels[-1], looks, verdicts[gradients], expected)
        colours = _shade(list(panels), looks, verdicts)
        name_layers(panels[-1], looks[0], colours, width=width)
        add_caption(figure, f"{caption}{_at_foot(looks)}")
    return figure


def _at_foot(looks: list[pd.DataFrame]) -> str:
    """Say what zeros become on a logarithmic axis, where there are any."""
    drawn = pd.concat(looks)[["sample_std", "gradient"]]
    below = bool((drawn < FLOOR).any(axis=None))
    return f" What is below {FLOOR:g}, 0 too, is drawn there." if below else ""


def _looks(profile: pd.DataFrame) -> list[pd.DataFrame]:
    """Return first and last step, each layer at its place: calls of functions leave no gap."""
    steps = sorted({profile["step"].min(), profile["step"].max()})
    looks = [profile[profile["step"] == step].sort_values("index") for step in steps]
    return [look.assign(place=np.arange(1, len(look) + 1)) for look in looks]


def _at_step(words: str, step: int, steps: int) -> str:
    return f"{words}, step {step}" if steps > 1 else words


def _draw_signal(
    ax: Axes, looks: list[pd.DataFrame], verdicts: pd.DataFrame, expected: pd.DataFrame | None
) -> None:
    for at, look in enumerate(looks):
        suffix = _at_step("", look["step"].iloc[0], len(looks))
        draw_lines(ax, look, "sample_std", later=at > 0, suffix=suffix)
    dotted = ""
    if len(looks) == 1:
        draw_whole_spread(ax, looks[0])
        dotted = " (dotted: std)"
    if expected is not None:
        label = _at_step("theory (mean field)", looks[0]["step"].iloc[0], len(looks))
        draw_theory(ax, looks[0], expected, "sample_std", label)
    _mark(ax, looks, verdicts, "sample_std")
    ax.set(yscale="log", ylabel="spread of the output")
    ax.set_title(f"signal: sample_std, the part that depends on the input{dotted}", fontsize=9)


def _draw_gradient(
    ax: Axes, looks: list[pd.DataFrame], verdicts: pd.DataFrame, expected: pd.DataFrame | None
) -> None:
    for at, look in enumerate(looks):
        draw_lines(ax, look, "gradient", later=at > 0)
    if expected is not None:
        last = looks[0].set_index("layer")["gradient"][expected["layer"].iloc[-1]]
        scaled = expected.assign(gradient=expected["gradient"] * last)
        draw_theory(ax, looks[0], scaled, "gradient", "_")
    _mark(ax, looks, verdicts, "gradient")
    ax.set(yscale="log", ylabel="RMS of ∂loss/∂output")
    ax.set_title("gradient (the loss is on the right)", fontsize=9)


def _mark(ax: Axes, looks: list[pd.DataFrame], verdicts: pd.DataFrame, column: str) -> None:
    """Put each finding's mark on its layer, filled where the fault starts."""
    places = pd.concat(looks).drop_duplicates(["step", "layer"])
    marks = verdicts.merge(places, on=["step", "layer"])
    size = min(60, max(20, 3000 / len(looks[0])))
    for (verdict, severity), part in marks.groupby(["verdict", "severity"], sort=False):
        color, marker = VERDICT_LOOKS[str(verdict)]
        label = f"watch: {verdict}" if severity == "watch" else str(verdict)
        faces = [color if cause == "" else "none" for cause in part["cause"]]
        ax.scatter(
            part["place"], log_safe(part[column].fillna(0)), s=size, marker=marker, c=faces,
            edgecolors=color, zorder=3, label=label,
        )  # fmt: skip


def _shade(
    panels: Sequence[Axes], looks: list[pd.DataFrame], verdicts: pd.DataFrame
) -> dict[int, str]:
    """Shade where faults start, in a strip those of its step alone, and return the colours by
    place; put legends beside the panels."""
    starts = verdicts[(verdicts["severity"] == "bad") & (verdicts["cause"] == "")]
    found = starts.merge(pd.concat(looks), on=["step", "layer"])
    steps = {at: look["step"].iloc[0] for at, look in enumerate(looks, start=1)}
    for at, ax in enumerate(panels):
        shown = found[found["step"] == steps[at]] if at in steps else found
        for place, colour in _colours(shown).items():
            ax.axvspan(place - 0.5, place + 0.5, color=colour, alpha=0.15, linewidth=0)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _colours(found)


def _colours(starts: pd.DataFrame) -> dict[int, str]:
    """Return the colour of the first fault at each place."""
    first = starts.drop_duplicates("place")
    return {
        int(place): VERDICT_LOOKS[str(verdict)][0]
        for place, verdict in zip(first["place"], first["verdict"], strict=True)
    }
