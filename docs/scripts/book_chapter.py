"""Write docs/book.md, the chapter with the numbers of results/book.

Command: ``python docs/scripts/book_chapter.py``.
"""

import math
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from init_bench.reproduction.result import summary_of

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "book"
CHAPTER = HERE.parent / "book.md"
CLASSES = 10


def chapter() -> str:
    """Return the text of the chapter, every number from the stored claims."""
    claims = pd.read_parquet(RESULTS / "claims.parquet").set_index("claim", drop=False)

    def row(name: str) -> Any:
        return claims.loc[name]

    def second(name: str) -> str:
        return f"{row(name)['second_value']:.3g}"

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((HERE / "book.md.jinja").read_text("utf-8"))
    text = template.render(
        value=lambda name: number_of(row(name)),
        verdict=lambda name: row(name)["verdict"],
        second=second,
        claims=claims.to_dict("records"),
        summary=summary_of(claims),
        seeds=int(claims["seeds"].max()),
        steps=int(claims["steps"].max()),
        chance=f"{math.log(CLASSES):.3g}",
    )
    return text.rstrip() + "\n"


def number_of(claim: Any) -> str:
    """Return a claim's value, with its interval where it has one."""
    low, high = claim["ci_low"], claim["ci_high"]
    if math.isnan(low) or low == high:
        return f"{claim['value']:.3g}"
    return f"{claim['value']:.3g} ({low:.3g} to {high:.3g})"


if __name__ == "__main__":
    CHAPTER.write_text(chapter(), "utf-8")
