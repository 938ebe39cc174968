"""Write docs/book.md, the chapter with the numbers of results/book.

Command: ``python docs/scripts/book_chapter.py``.
"""

import math
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from init_bench.figures.claim_list import number_of
from init_bench.reproduction.result import summary_of

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "book"
CHAPTER = HERE.parent / "book.md"
CLASSES = 10


def chapter() -> str:
    """Return the text of the chapter, every number from the stored claims."""
    claims = pd.read_parquet(RESULTS / "claims.parquet").set_index("claim", drop=False)

    def row(name: str) -> Any:
        return claims.loc[name].to_dict()

    def second(name: str) -> str:
        return f"{row(name)['second_value']:.4g}"

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((HERE / "book.md.jinja").read_text("utf-8"))
    text = template.render(
        value=lambda name: written(row(name)),
        verdict=lambda name: row(name)["verdict"],
        second=second,
        claims=claims.to_dict("records"),
        summary=summary_of(claims),
        seeds=int(claims["seeds"].max()),
        steps=int(claims["steps"].max()),
        chance=f"{math.log(CLASSES):.4g}",
    )
    return text.rstrip() + "\n"


def written(claim: Any) -> str:
    """Return a claim's value as every page has it, without an interval that is the value."""
    same = claim["ci_low"] == claim["ci_high"]
    return number_of(claim | {"ci_low": math.nan} if same else claim)


if __name__ == "__main__":
    CHAPTER.write_text(chapter(), "utf-8")
