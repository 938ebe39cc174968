"""Write figures and results to files: the same bytes for the same figure."""

import functools
import html
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from init_bench.figures.style import RC
from init_bench.files import make_folder, write_atomic

_UNDATED: dict[str, Mapping[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}}


class Result(Protocol):
    """What every result can do: show itself as a figure, as JSON and as HTML."""

    @property
    def summary(self) -> str:
        """The answer in a sentence."""

    def figure(self) -> Figure:
        """Draw the result."""

    def to_json(self) -> str:
        """Return the numbers as JSON."""

    def _repr_html_(self) -> str:
        """Return the result as HTML, without script."""


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``folder/figures/name`` as PNG at 150 dpi and as SVG; return their paths."""
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    paths = []
    for kind, metadata in _UNDATED.items():
        path = target / f"{name}.{kind}"
        write = functools.partial(figure.savefig, format=kind, dpi=150, metadata=metadata)
        with mpl.rc_context(RC):
            write_atomic(path, write)
        paths.append(path)
    return paths


def svg_of(figure: Figure) -> str:
    """Return the figure as an SVG element, to be put into a page."""
    text = io.StringIO()
    with mpl.rc_context(RC):
        figure.savefig(text, format="svg", metadata=_UNDATED["svg"])
    return "<svg" + text.getvalue().partition("<svg")[2]


def page_of(summary: str, table: pd.DataFrame, figure: Figure) -> str:
    """Return the answer, the table and the figure of a result as HTML without JavaScript."""
    rows = table.to_html(index=False, float_format="{:.3g}".format, border=0)
    return f"<div><p><b>{html.escape(summary)}</b></p>{rows}{svg_of(figure)}</div>"


def save_result(result: Result, folder: str | Path, name: str) -> list[Path]:
    """Write figure, page and JSON of ``result`` into ``folder``; return the paths."""
    folder = Path(folder)
    make_folder(folder)
    stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
    head = f"<!doctype html><meta charset='utf-8'><title>{html.escape(name)}</title>"
    page = f"{head}<body style='font-family: sans-serif'>{result._repr_html_()}"
    paths = [folder / f"{stem}.{ending}" for ending in ("png", "html", "json")]
    result.figure().savefig(paths[0], dpi=120)
    paths[1].write_text(page, "utf-8")
    paths[2].write_text(result.to_json(), "utf-8")
    return paths
