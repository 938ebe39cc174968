"""Draw measured statistics over depth beside the prediction of mean-field theory."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.seed_lines import draw_over_seeds
from init_bench.figures.style import (
    LINES,
    Canvas,
    drawing,
    label_of,
    line_of,
    need,
    seeds_of,
    whole_of,
)

_COLUMNS = ("init", "layer", "index", "kind", "sample_std", "correlation", "std")


_PANELS = (
    ("sample_std", "sample_std of activations", "log"),
    ("correlation", "correlation of two samples", "linear"),
    ("gradient", "std of ∂loss/∂z, relative to the logits", "log"),
)


def depth_profile(
    measured: pd.DataFrame,
    theory: pd.DataFrame | None = None,
    *,
    caption: str,
    figure: Canvas | None = None,
) -> Figure:
    """Draw signal, correlation of samples and gradient over depth, theory as dashed lines.

    Args:
        measured: tables of ``capture``, one network each, with columns ``init`` and ``seed``
            added; rows of kind ``activation`` and ``gradient`` are drawn.
        theory: tables of ``theory.expected_profile`` with a column ``init`` added.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [("he_normal", 0, f"act{layer}", layer, kind, 0.4, 0.1, 0.5)
        ...         for layer in (1, 2) for kind in ("activation", "gradient")]
        >>> names = ["init", "seed", "layer", "index", "kind", "sample_std", "correlation", "std"]
        >>> figure = depth_profile(pd.DataFrame(rows, columns=names), caption="")
        >>> [ax.get_title() for ax in figure.axes][1]
        'correlation of two samples'
    """
    need(measured, *_COLUMNS, "seed")
    points = _by_depth(measured, ["init", "seed"])
    with drawing(
        figure, 3.9 * len(_PANELS), 4.4, _with_legend(caption, measured, theory)
    ) as canvas:
        axes = canvas.subplots(1, len(_PANELS))
        for ax, (column, label, scale) in zip(axes, _PANELS, strict=True):
            _draw_measured(ax, points, column)
            if theory is not None:
                need(theory, *_COLUMNS)
                _draw_theory(ax, _by_depth(theory, ["init"]), column)
            drawable = scale if (points[column] > 0).any() else "linear"
            ax.set(xlabel="hidden layer", ylabel="", title=label, yscale=drawable)
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[1].set_ylim(-0.03, 1.03)
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return whole_of(canvas)


def _by_depth(frame: pd.DataFrame, network: list[str]) -> pd.DataFrame:
    """Return a row per network and hidden activation: depth, statistics, relative gradient."""
    keys = [*network, "layer", "index"]
    hidden = frame.loc[frame["kind"] == "activation", [*keys, "sample_std", "correlation"]]
    gradient = frame.loc[frame["kind"] == "gradient", [*keys, "std"]]
    # Stacked tables repeat their row labels.
    gradient = gradient.sort_values("index", ignore_index=True)
    last = gradient.groupby(network)["std"].transform("last")
    relative = gradient.assign(gradient=gradient["std"] / last).drop(columns="std")
    rows = hidden.merge(relative, on=keys, how="left")
    return rows.assign(depth=rows.groupby(network)["index"].rank(method="dense"))


def _draw_measured(ax: Axes, points: pd.DataFrame, column: str) -> None:
    """Draw mean and range over seeds."""
    lines = _lines(list(points["init"].unique()))
    every = max(1, int(points["depth"].max()) // 25)
    for init, part in points.groupby("init", sort=False):
        style = {**lines[str(init)], "linestyle": "-", "markersize": 4, "markevery": every}
        label = f"{label_of(str(init))}, measured"
        draw_over_seeds(ax, part, "depth", column, label=label, linewidth=1.4, **style)


def _lines(inits: list[str]) -> dict[str, dict[str, Any]]:
    """Return each initializer's line; one without a line of its own takes an unused color."""
    taken = [LINES[init]["color"] for init in inits if init in LINES]
    spare = [line for line in LINES.values() if line["color"] not in taken]
    others = [init for init in inits if init not in LINES]
    return {
        **{init: LINES[init] for init in inits if init in LINES},
        **{
            init: spare[at] if at < len(spare) else line_of(init, at)
            for at, init in enumerate(others)
        },
    }


def _draw_theory(ax: Axes, points: pd.DataFrame, column: str) -> None:
    for position, (_, part) in enumerate(points.groupby("init", sort=False)):
        label = "theory (mean field)" if position == 0 else "_nolegend_"
        ax.plot(
            part["depth"], part[column], color="black", linestyle=(0, (4, 2)), label=label, zorder=3
        )


def _with_legend(caption: str, measured: pd.DataFrame, theory: pd.DataFrame | None) -> str:
    dashed = "" if theory is None else " Dashed: mean-field theory (infinite width)."
    return (
        f"{caption} Line: mean over {seeds_of(measured)}; band: lowest to highest seed. "
        f"z: activation.{dashed}"
    )
