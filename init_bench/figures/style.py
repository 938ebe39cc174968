"""Set the style of all figures: colors safe for color-blind readers, captions, seed counts."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from init_bench.errors import InitBenchError
from init_bench.words import counted

PALETTE = {
    # Okabe & Ito, "Color Universal Design", 2008; lines differ in dash and marker as well.
    "blue": ("#0072B2", "#4EA9E0"),
    "orange": ("#E69F00", "#F2C14E"),
    "green": ("#009E73", "#34C79C"),
    "red": ("#D55E00", "#F2703D"),
    "purple": ("#CC79A7", "#DD8FBD"),
    "sky": ("#56B4E9", "#9AD8FA"),
    # Tol, "Color Schemes", 2021, muted.
    "black": ("#000000", "#E4E5E3"),
    "gray": ("#7F7F7F", "#9AA3AB"),
    "wine": ("#882255", "#E07AA0"),
    "olive": ("#999933", "#C9C95A"),
    "teal": ("#44AA99", "#7FDCCB"),
    "indigo": ("#332288", "#A79CF0"),
}
"""Colors of lines by name: in figures and on light pages, and on dark pages."""


_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _SKY, *_OTHERS = (ink for ink, _ in PALETTE.values())


_BLACK, _GRAY, *_ = _OTHERS  # those of initializers that LINES does not have


_LIGHT_GRAY, _DARK_RED = "#BFBFBF", "#7F0000"


LINES: dict[str, dict[str, Any]] = {
    "normal(std=0.01)": {"color": _RED, "linestyle": (0, (4, 2)), "marker": "s"},
    "normal(std=1)": {"color": _PURPLE, "linestyle": (0, (1, 1)), "marker": "D"},
    "lecun_normal": {"color": _BLUE, "linestyle": "-", "marker": "o"},
    "he_normal": {"color": _GREEN, "linestyle": (0, (6, 1, 1, 1)), "marker": "^"},
    "zeros": {"color": _ORANGE, "linestyle": (0, (4, 2)), "marker": "s"},
    "constant(value=0.01)": {"color": _SKY, "linestyle": (0, (1, 1)), "marker": "D"},
}


_DASHES = ("-", (0, (4, 2)), (0, (1, 1)))


_MARKERS = ("v", "P", "X", "<", ">")


MARKS: dict[str, tuple[str, str]] = {
    # verdicts on how a layer's output moves at another width or depth
    "diverges": (_DARK_RED, "*"),
    "blows up": (_RED, "^"),
    "shrinks": (_BLUE, "v"),
    "undecided": (_GRAY, "o"),
    "does not move": (_BLACK, "X"),
    "width-independent": (_GREEN, "s"),
    "depth-independent": (_GREEN, "s"),
    "in a block": (_LIGHT_GRAY, "o"),
    # states of a parameter in an audit or a difference
    "non-finite": (_DARK_RED, "X"),
    "never filled": (_DARK_RED, "P"),
    "all zero": (_PURPLE, "v"),
    "all equal": (_PURPLE, "^"),
    "fresh": (_RED, "s"),
    "copy": (_ORANGE, "D"),
    "replaced": (_RED, "s"),
    "changed": (_BLUE, "o"),
    "rounded": (_SKY, "."),
    "equal": (_GREEN, "."),
}
"""Color and marker of verdicts and states that figures draw; others are gray dots."""


GLOSS = {"lecun_normal": 'lecun_normal (book: "Xavier")'}
"""Labels that add the book's name: its Xavier is 1/√n, which the field calls LeCun normal."""


RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "svg.hashsalt": "init_bench",
    "svg.fonttype": "none",
}


Canvas = Figure | SubFigure
"""What panels are drawn into: a figure, or a part of one."""


def line_of(init: str, position: int = 0) -> dict[str, Any]:
    """Return color, dash and marker of an initializer, by ``position`` if it has no own ones."""
    other = {
        "color": _OTHERS[position % len(_OTHERS)],
        "linestyle": _DASHES[position % len(_DASHES)],
        "marker": _MARKERS[position % len(_MARKERS)],
    }
    return LINES.get(init, other)


def color_name(init: str, position: int = 0) -> str:
    """Return the name in ``PALETTE`` of an initializer's color, as ``line_of`` has it.

    Example:
        >>> color_name("he_normal"), color_name("orthogonal", position=1)
        ('green', 'gray')
    """
    color = line_of(init, position)["color"]
    return next(name for name, (ink, _) in PALETTE.items() if ink == color)


def mark_of(name: str) -> dict[str, Any]:
    """Return color and marker of a verdict or state, as ``Axes.plot`` takes them."""
    color, marker = MARKS.get(name, (_GRAY, "."))
    return {"color": color, "marker": marker}


def label_of(init: str) -> str:
    """Return the initializer's spec, with the book's name for it if that is another."""
    return GLOSS.get(init, init)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure with constrained layout, outside pyplot's state."""
    with mpl.rc_context(RC):
        return Figure(figsize=(width, height), layout="constrained", facecolor="white")


@contextmanager
def drawing(figure: Canvas | None, width: float, height: float, caption: str) -> Iterator[Canvas]:
    """Yield the caller's figure, or a new one, to draw into in the common style; caption it."""
    with mpl.rc_context(RC):
        canvas = new_figure(width, height) if figure is None else figure
        yield canvas
        add_caption(canvas, caption)


def panel_of(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the caller's panel, or that of a new figure."""
    return new_figure(width, height).subplots() if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """Return the figure that a panel belongs to, of a subfigure the whole."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def whole_of(figure: Canvas) -> Figure:
    """Return the figure that a part belongs to, a whole one as it is."""
    whole = figure.get_figure(root=True)
    assert isinstance(whole, Figure)
    return whole


def add_caption(figure: Canvas, text: str) -> None:
    """Write ``text`` below the panels, wrapped to the figure's width."""
    columns = int(width_of(figure) * 15.5)
    lines = textwrap.fill(text, columns)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8.5, color="#333333")


def width_of(figure: Canvas) -> float:
    """Return the width of a figure, or of a part of one, in inches."""
    whole = whole_of(figure)
    return whole.get_figwidth() if figure is whole else figure.bbox.width / whole.dpi


def need(frame: pd.DataFrame, *columns: str) -> None:
    """Check that ``frame`` has ``columns`` and at least one row.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    missing = [name for name in columns if name not in frame]
    if missing:
        raise InitBenchError(
            f"the frame lacks {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise InitBenchError("the frame has no rows to draw")


def seeds_of(frame: pd.DataFrame) -> str:
    """Return the number of seeds of a frame, such as "3 seeds"."""
    return counted(frame["seed"].nunique(), "seed")


def explained_names(layers: pd.Series) -> list[str]:
    """Return what the first layer name such as ``block:relu`` means, nothing without one.

    Example:
        >>> explained_names(pd.Series(["fc1", "block:relu", "block:add"]))
        ['block:relu: function relu, called in the forward of block']
    """
    functions = [name.rpartition(":") for name in layers.astype(str) if ":" in name]
    return [
        f"{module}:{function}: function {function}, called in the forward of "
        f"{module or 'the model'}"
        for module, _, function in functions[:1]
    ]
