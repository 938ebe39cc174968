"""Turn sections into one HTML file that needs no network."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from init_bench.figures.export import DPI
from init_bench.figures.style import PALETTE

HERE = "init_bench.figures.page"


SCRIPTS = (
    *("base", "controls", "table", "claims"),
    *("curves", "heat_map", "depth", "spread", "histograms", "layers", "start"),
)
"""Scripts of a page, in the order in which they are put into it."""


PLOTLY = "plotly-cartesian.min.js"
"""Library that draws: of plotly.js the part with two axes, a third of the whole. A browser parses
all of it before it draws the first figure."""


CSS_PIXELS = 96
"""Pixels of an inch in a browser."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """Hold a picture that stands below a section.

    Attributes:
        words: its name.
        data: bytes of the file.
        kind: media type: ``image/svg+xml`` or ``image/png``.
        caption: what is written in it, for who cannot see it.
    """

    words: str
    data: bytes = field(repr=False)
    kind: str = "image/svg+xml"
    caption: str = ""

    @property
    def uri(self) -> str:
        """Address that holds the picture itself.

        Example:
            >>> Image(words="a dot", data=b"<svg/>").uri
            'data:image/svg+xml;base64,PHN2Zy8+'
        """
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def width(self) -> int | None:
        """Width at which the text of a bitmap has the size of the page's; None of other pictures.

        Example:
            >>> Image(words="a dot", data=b"<svg/>").width is None
            True
        """
        if self.kind != "image/png":
            return None
        return round(int.from_bytes(self.data[16:20]) * CSS_PIXELS / DPI)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Hold one section of a page.

    Attributes:
        kind: names the template and, where there is ``data``, the script; ``images`` has neither.
        title: its heading.
        lead: what it shows and how to read it, in a sentence or two.
        data: what the script draws, as JSON values.
        content: what the template shows without script.
        images: pictures below it.
    """

    kind: str
    title: str
    lead: str = ""
    data: Mapping[str, Any] | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[Image] = ()

    @property
    def anchor(self) -> str:
        """Name by which a link leads to the section.

        Example:
            >>> Section(kind="table", title="Every run").anchor
            'every-run'
        """
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Page:
    """Hold what a page says, from top to bottom.

    Attributes:
        title: what was done.
        answer: the result in a sentence or two.
        notes: what to mind, a sentence each.
        sections: figures and tables.
        facts: seeds, versions, machine …: term and text.
        command: what to type or run to get the same numbers.
    """

    title: str
    answer: str
    notes: Sequence[str] = ()
    sections: Sequence[Section] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


def render(page: Page) -> str:
    """Return the page as HTML with scripts, styles and data inside; it sends no request.

    Args:
        page: what it says.

    Example:
        >>> text = render(Page(title="A run", answer="he_normal learns fastest."))
        >>> "he_normal learns fastest." in text, "http-equiv" in text
        (True, True)
    """
    import jinja2  # here: a program that writes no page need not wait for it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    drawn = any(section.data is not None for section in page.sections)
    return environment.get_template("page.html").render(
        page=page,
        style=_colors() + _own("style.css"),
        scripts=[_own(f"{name}.js") for name in SCRIPTS],
        plotly=_own(PLOTLY) if drawn else "",
        data={s.anchor: _as_json(s.data) for s in page.sections if s.data is not None},
    )


def _own(name: str) -> str:
    return resources.files(HERE).joinpath("assets", name).read_text("utf-8")


def _colors() -> str:
    """Return the figures' colors as variables of CSS."""
    inks = (f"--{name}: light-dark{pair};" for name, pair in PALETTE.items())
    return f":root {{ {' '.join(inks)} }}\n".replace("'", "")


def _as_json(data: Mapping[str, Any] | None) -> str:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
