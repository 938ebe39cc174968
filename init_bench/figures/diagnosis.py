"""A model at step 0: spread of signal and gradient over depth, coloured by verdict."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

ROLES = {
    "weights": ("#8C8C8C", "layers with weights"),
    "nonlinear": ("#222222", "nonlinearities"),
    "rest": ("#B8B8B8", "others (normalisation, pooling …)"),
}
"""Colour and words of each role: what multiplies, what bends, and the rest, as dots."""

COLUMNS = (
    "layer",
    "index",
    "nonlinear",
    "weight_gain",
    "mean",
    "std",
    "min",
    "max",
    "sample_std",
    "gradient",
)
"""What the figure reads of the profile."""

NAMED_LAYERS = 40
"""Up to this many layers each is named below the axis; beyond, every n-th."""

FLOOR = 1e-12
"""Values below are drawn at the foot of the logarithmic axis: 0 has no place on one."""


def diagnosis(profile: pd.DataFrame, verdicts: pd.DataFrame, *, caption: str) -> Figure:
    """Draw std and sample_std of each layer's output and, if known, its gradient, over depth.

    Args:
        profile: a row per layer call: ``layer``, ``index``, ``nonlinear``, ``weight_gain``,
            ``mean``, ``std``, ``min``, ``max``, ``sample_std``, ``gradient``.
        verdicts: ``layer``, ``verdict``, ``severity``, ``cause``: where a fault starts is drawn
            filled, what follows from it hollow.
        caption: written below.

    Returns:
        A figure outside pyplot's state; neither frame nor the global theme is altered.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(profile, *COLUMNS)
    need(verdicts, "layer", "verdict", "severity", "cause")
    graded = bool(profile["gradient"].notna().any())
    figure = new_figure(min(16.0, max(7.0, 0.16 * len(profile) + 3)), 8.6 if graded else 6.2)
    with mpl.rc_context(RC):
        panels = figure.subplots(2 + graded, 1, sharex=True, squeeze=False)[:, 0]
        _draw_signal(panels[0], profile)
        _draw_band(panels[1], profile)
        if graded:
            _draw_gradient(panels[2], profile)
        gradients = verdicts["verdict"].str.endswith("gradient")
        _mark(panels[0], profile, verdicts[~gradients], "sample_std")
        if graded:
            _mark(panels[2], profile, verdicts[gradients], "gradient")
        _name_layers(panels[-1], profile)
        add_caption(figure, caption)
    return figure


def _draw_signal(ax: Axes, profile: pd.DataFrame) -> None:
    """Draw both spreads by role: roles alternate, one line through all would be a saw."""
    for role, part in _by_role(profile):
        color, label = ROLES[role]
        total, told = _log_safe(part["std"]), _log_safe(part["sample_std"])
        _draw_line(ax, part["index"], told, role, label)
        if role != "rest":
            ax.plot(part["index"], total, color=color, linewidth=1, linestyle=":")
            ax.fill_between(part["index"], told, total, color=color, alpha=0.12, linewidth=0)
    ax.set(yscale="log", ylabel="spread of the output")
    ax.set_title("signal: sample_std, the part that depends on the input (dotted: std)", fontsize=9)


def _draw_band(ax: Axes, profile: pd.DataFrame) -> None:
    """Draw where the values of each output lie: mean ± std thick, least to greatest thin."""
    at = profile["index"]
    ax.vlines(at, profile["min"], profile["max"], color="#BBBBBB", linewidth=1)
    low, high = profile["mean"] - profile["std"], profile["mean"] + profile["std"]
    ax.vlines(at, low, high, color="#555555", linewidth=min(6.0, 220 / len(profile)))
    ax.set_yscale("symlog", linthresh=1)
    ax.set(ylabel="value")
    ax.set_title("values: mean ± std (thick), least to greatest (thin)", fontsize=9)


def _draw_gradient(ax: Axes, profile: pd.DataFrame) -> None:
    for role, part in _by_role(profile[profile["gradient"].notna()]):
        _draw_line(ax, part["index"], _log_safe(part["gradient"]), role, "")
    ax.set(yscale="log", ylabel="RMS of ∂loss/∂output")
    ax.set_title("gradient (the loss is on the right)", fontsize=9)


def _by_role(profile: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each role that there is."""
    role = pd.Series("rest", index=profile.index).mask(profile["weight_gain"].notna(), "weights")
    role = role.mask(profile["nonlinear"].astype(bool), "nonlinear")
    for name in ROLES:
        if (role == name).any():
            yield name, profile[role == name]


def _draw_line(ax: Axes, x: pd.Series, y: np.ndarray, role: str, label: str) -> None:
    style: dict[str, Any] = (
        {"linestyle": "none", "marker": ".", "markersize": 4} if role == "rest" else {}
    )
    ax.plot(x, y, color=ROLES[role][0], linewidth=1.4, label=label or "_", **style)


def _mark(ax: Axes, profile: pd.DataFrame, verdicts: pd.DataFrame, column: str) -> None:
    """Put each finding's mark on its layer, filled where the fault starts."""
    places = profile.drop_duplicates("layer").set_index("layer")
    for verdict, part in verdicts.groupby("verdict", sort=False):
        color, marker = VERDICT_LOOKS[str(verdict)]
        part = part[part["layer"].isin(places.index)]
        if part.empty:
            continue
        starts = (part["cause"] == "").to_numpy()
        at = places.loc[part["layer"]]
        faces = [color if start else "none" for start in starts]
        heights = _log_safe(at[column].fillna(FLOOR))
        ax.scatter(
            at["index"], heights, s=60, marker=marker, c=faces, edgecolors=color, zorder=3,
            label=str(verdict),
        )  # fmt: skip
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _name_layers(ax: Axes, profile: pd.DataFrame) -> None:
    step = max(1, -(-len(profile) // NAMED_LAYERS))
    named = profile.iloc[::step]
    names = [_short(name) for name in named["layer"]]
    ax.set_xticks(named["index"].tolist(), names, rotation=90, fontsize=7)
    ax.set_xlabel("layer, in order of execution")


def _short(name: str) -> str:
    return name if len(name) <= 28 else "…" + name[-27:]


def _log_safe(values: pd.Series) -> np.ndarray:
    safe: np.ndarray = np.maximum(values.to_numpy(float), FLOOR)
    return safe
