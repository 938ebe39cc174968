"""Draw one statistic per layer over depth: `gradients` and `expressiveness`."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from init_bench.figures.style import RC, add_caption, label_of, line_of, need, new_figure, seeds_of


def gradients(frame: pd.DataFrame, *, caption: str) -> Figure:
    """Draw the RMS of ∂loss/∂activation of each hidden layer, a panel per nonlinearity.

    Args:
        frame: columns ``init``, ``activation``, ``seed``, ``depth_index`` (hidden layer from 1)
            and ``rms``: √mean(g²) of the gradient with respect to that layer's activations.
        caption: written below.

    Returns:
        A figure outside pyplot's state; neither the frame nor the global theme is altered.

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
    names = list(frame["activation"].unique())
    figure = new_figure(4.6 * len(names), 4.6)
    with mpl.rc_context(RC):
        axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for ax, name in zip(axes, names, strict=True):
            for init, part in frame[frame["activation"] == name].groupby("init", sort=False):
                _draw_profile(ax, part, "rms", str(init), label=label_of(str(init)))
            ax.set(title=name, xlabel="hidden layer (the loss is on the right)")
            ax.set_xticks(sorted(frame["depth_index"].unique()))
            ax.legend(frameon=False, fontsize=8)
        axes[0].set(ylabel="RMS of ∂loss/∂z before training (z: activation)", yscale="log")
        add_caption(figure, _with_seeds(caption, frame))
    return figure


def expressiveness(frame: pd.DataFrame, *, caption: str) -> Figure:
    """Draw ``sample_std``, the spread that depends on the input, by layer and nonlinearity.

    Args:
        frame: columns ``init``, ``activation``, ``seed``, ``layer`` (from 1), ``std``,
            ``sample_std`` of the activations.
        caption: written below.

    Returns:
        A figure outside pyplot's state; neither the frame nor the global theme is altered.

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
    names = list(frame["activation"].unique())
    figure = new_figure(3.7 * len(names), 4.6)
    with mpl.rc_context(RC):
        axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for ax, name in zip(axes, names, strict=True):
            for init, part in frame[frame["activation"] == name].groupby("init", sort=False):
                _draw_profile(ax, part, "sample_std", str(init), label=label_of(str(init)))
                _draw_profile(ax, part, "std", str(init), faint=True)
            ax.set(title=name, xlabel="layer", ylabel="")
            ax.legend(frameon=False, fontsize=8, loc="lower left").set_visible(ax is axes[0])
            ax.set_xticks(sorted(frame["layer"].unique()))
        axes[0].set(ylabel="sample_std of activations (dotted: std)", yscale="log")
        add_caption(figure, _with_seeds(caption, frame))
    return figure


def _draw_profile(
    ax: Axes, part: pd.DataFrame, column: str, init: str, label: str = "", *, faint: bool = False
) -> None:
    """Draw the mean over seeds as a line and, unless ``faint``, their range as a band.

    To be called before the axis is made logarithmic: seaborn averages in the axis' own scale.
    """
    depth = "depth_index" if "depth_index" in part else "layer"
    line = line_of(init)
    if faint:
        style = {"color": line["color"], "alpha": 0.45, "linewidth": 1, "linestyle": ":"}
        sns.lineplot(part, x=depth, y=column, errorbar=None, ax=ax, **style)
        return
    sns.lineplot(
        part, x=depth, y=column, errorbar=("pi", 100), ax=ax, label=label, linewidth=1.8, **line
    )


def _with_seeds(caption: str, frame: pd.DataFrame) -> str:
    return f"{caption} Line: mean over {seeds_of(frame)}; band: lowest to highest seed."
