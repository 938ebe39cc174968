"""Draw one statistic per layer over depth: `gradients` and `expressiveness`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.seed_lines import draw_over_seeds
from init_bench.figures.style import Canvas, drawing, label_of, line_of, need, seeds_of, whole_of


def gradients(frame: pd.DataFrame, *, caption: str, figure: Canvas | None = None) -> Figure:
    """Draw the RMS of ∂loss/∂activation of each hidden layer, a panel per nonlinearity.

    Args:
        frame: columns ``init``, ``activation``, ``seed``, ``depth_index`` (hidden layer from 1)
            and ``rms``: √mean(g²) of the gradient with respect to that layer's activations.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [("he_normal", "relu", seed, layer, 0.01 * layer)
        ...         for seed in (0, 1) for layer in (1, 2)]
        >>> frame = pd.DataFrame(rows, columns=["init", "activation", "seed", "depth_index", "rms"])
        >>> gradients(frame, caption="").axes[0].get_title()
        'relu'
    """
    need(frame, "init", "activation", "seed", "depth_index", "rms")
    width = 4.6 * frame["activation"].nunique()
    with drawing(figure, width, 4.6, _with_seeds(caption, frame)) as canvas:
        axes = _panels(canvas, frame, "rms", "depth_index")
        for ax in axes:
            ax.set(xlabel="hidden layer (the loss is on the right)")
            ax.legend(frameon=False, fontsize=8)
        axes[0].set(ylabel="RMS of ∂loss/∂z before training (z: activation)", yscale="log")
    return whole_of(canvas)


def expressiveness(frame: pd.DataFrame, *, caption: str, figure: Canvas | None = None) -> Figure:
    """Draw ``sample_std``, the spread that depends on the input, by layer and nonlinearity.

    Args:
        frame: columns ``init``, ``activation``, ``seed``, ``layer`` (from 1), ``std``,
            ``sample_std`` of the activations.
        caption: written below.
        figure: to draw into, or a part of one; default: a new figure.

    Raises:
        InitBenchError: a column is missing or there are no rows.

    Example:
        >>> rows = [("he_normal", "relu", seed, layer, 0.5, 0.4)
        ...         for seed in (0, 1) for layer in (1, 2)]
        >>> names = ["init", "activation", "seed", "layer", "std", "sample_std"]
        >>> expressiveness(pd.DataFrame(rows, columns=names), caption="").axes[0].get_title()
        'relu'
    """
    need(frame, "init", "activation", "seed", "layer", "std", "sample_std")
    width = 3.7 * frame["activation"].nunique()
    with drawing(figure, width, 4.6, _with_seeds(caption, frame)) as canvas:
        axes = _panels(canvas, frame, "sample_std", "layer", faint="std")
        for ax in axes:
            ax.set(xlabel="layer", ylabel="")
            ax.legend(frameon=False, fontsize=8, loc="lower left").set_visible(ax is axes[0])
        axes[0].set(ylabel="sample_std of activations (dotted: std)", yscale="log")
    return whole_of(canvas)


def _panels(
    canvas: Canvas, frame: pd.DataFrame, column: str, depth: str, faint: str | None = None
) -> list[Axes]:
    """Draw ``column`` over ``depth``, a panel per nonlinearity, a line per initializer."""
    names = list(frame["activation"].unique())
    axes = list(canvas.subplots(1, len(names), sharey=True, squeeze=False)[0])
    for ax, name in zip(axes, names, strict=True):
        for init, part in frame[frame["activation"] == name].groupby("init", sort=False):
            line = line_of(str(init))
            style = {**line, "label": label_of(str(init)), "linewidth": 1.8}
            draw_over_seeds(ax, part, depth, column, **style)
            if faint:
                thin = {"color": line["color"], "alpha": 0.45, "linewidth": 1, "linestyle": ":"}
                draw_over_seeds(ax, part, depth, faint, band=False, **thin)
        ax.set(title=name)
        ax.set_xticks(sorted(frame[depth].unique()))
    return axes


def _with_seeds(caption: str, frame: pd.DataFrame) -> str:
    return f"{caption} Line: mean over {seeds_of(frame)}; band: lowest to highest seed."
