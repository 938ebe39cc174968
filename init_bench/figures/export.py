"""Turn figures and results into files: the same bytes for the same figure."""

import html
import io
import re
from collections.abc import Mapping
from typing import Protocol

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from init_bench.figures.style import RC

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


def images_of(figure: Figure, name: str) -> dict[str, bytes]:
    """Return ``name.png``, at 150 dpi, and ``name.svg``."""
    images = {}
    for kind, metadata in _UNDATED.items():
        image = io.BytesIO()
        with mpl.rc_context(RC):
            figure.savefig(image, format=kind, dpi=150, metadata=metadata)
        images[f"{name}.{kind}"] = image.getvalue()
    return images


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


def files_of(result: Result, name: str) -> dict[str, bytes]:
    """Return figure, page and JSON of ``result`` as ``name.png``, ``name.html``, ``name.json``."""
    stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
    head = f"<!doctype html><meta charset='utf-8'><title>{html.escape(name)}</title>"
    page = f"{head}<body style='font-family: sans-serif'>{result._repr_html_()}"
    image = io.BytesIO()
    result.figure().savefig(image, dpi=120)
    texts = {f"{stem}.html": page.encode(), f"{stem}.json": result.to_json().encode()}
    return {f"{stem}.png": image.getvalue(), **texts}
