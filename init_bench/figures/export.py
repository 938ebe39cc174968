"""Turn figures and results into files: the same bytes for the same figure."""

import html
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from init_bench.figures.style import RC

DPI = 150
"""Dots per inch of a PNG beside its SVG."""


_UNDATED: dict[str, Mapping[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}}


PAGE_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 72rem; padding: 1.5rem clamp(1rem, 4vw, 3rem);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
table {{ display: block; overflow-x: auto; border-collapse: collapse; font-size: .9rem;
  white-space: nowrap; }}
thead tr {{ text-align: left !important; }}
th, td {{ padding: .3rem .9rem .3rem 0; vertical-align: top; text-align: left; }}
tbody tr {{ border-top: 1px solid #8886; }}
td:first-child {{ white-space: normal; max-width: 22rem; overflow-wrap: break-word; }}
@media (max-width: 40rem) {{ td:first-child {{ max-width: 10rem; }} }}
svg {{ max-width: max(100%, 46rem); height: auto; margin-top: 1.5rem; }}
</style></head>
"""
"""Head of a page without script: wide tables scroll, it follows the theme of the system."""


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
    """Return ``name.png``, at ``DPI``, and ``name.svg``."""
    images = {}
    with mpl.rc_context(RC), _laid_out_once(figure):
        for kind, metadata in _UNDATED.items():
            image = io.BytesIO()
            figure.savefig(image, format=kind, dpi=DPI, metadata=metadata)
            images[f"{name}.{kind}"] = image.getvalue()
    return images


@contextmanager
def _laid_out_once(figure: Figure) -> Iterator[None]:
    """Place the panels once for all files that the block saves.

    A figure with a layout engine is laid out and drawn twice for each file.
    """
    engine, dpi = figure.get_layout_engine(), figure.dpi
    if engine is None:
        yield
        return
    figure.dpi = DPI  # text is a little wider or narrower at another resolution
    engine.execute(figure)
    figure.dpi = dpi
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def svg_of(figure: Figure) -> str:
    """Return the figure as an SVG element, to be put into a page."""
    text = io.StringIO()
    with mpl.rc_context(RC):
        figure.savefig(text, format="svg", metadata=_UNDATED["svg"])
    return "<svg" + text.getvalue().partition("<svg")[2]


def scrolled_svg_of(figure: Figure) -> str:
    """Return the figure as an SVG element that scrolls sideways where it has not enough room."""
    return f'<div style="overflow-x: auto">{svg_of(figure)}</div>'


def page_of(summary: str, table: pd.DataFrame, figure: Figure) -> str:
    """Return the answer, the table and the figure of a result as HTML without JavaScript."""
    rows = table.to_html(index=False, float_format="{:.3g}".format, border=0)
    return f"<div><p><b>{html.escape(summary)}</b></p>{rows}{scrolled_svg_of(figure)}</div>"


def files_of(result: Result, name: str, *, page: str = "") -> dict[str, bytes]:
    """Return figure, page and JSON of ``result`` as ``name.png``, ``name.html``, ``name.json``.

    ``page`` is the whole page, where the result has one beside its short form.
    """
    stem = re.sub(r"[^\w.=-]+", "-", name).strip("-")
    if not page:
        head = PAGE_HEAD.format(title=html.escape(name))
        page = f"{head}<body>{result._repr_html_()}</body></html>"
    image = io.BytesIO()
    result.figure().savefig(image, dpi=120)
    texts = {f"{stem}.html": page.encode(), f"{stem}.json": result.to_json().encode()}
    return {f"{stem}.png": image.getvalue(), **texts}
