"""Prepare a list of claims with a verdict on each."""

import pandas as pd

from init_bench.figures.claim_list import number_of
from init_bench.figures.page.document import Section
from init_bench.figures.style import need

FILTERS = {"holds": "that hold", "fails": "that do not", "undecided": "undecided"}
"""Groups of claims that a reader may choose, in words."""


GROUPS = {"holds": "holds", "undecided": "undecided"}
"""Group of a verdict; any other is a failure."""


def claims_section(claims: pd.DataFrame) -> Section:
    """Return the claims in their order, each with its number, threshold and verdict.

    Args:
        claims: ``figure``, ``statement``, ``quantity``, ``value``, ``ci_low``, ``ci_high``,
            ``seeds``, ``threshold``, ``verdict`` (``holds`` or another word), ``note``.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(claims, "figure", "statement", "quantity", "value", "ci_low", "ci_high", "verdict")
    rows = [
        {
            **{str(k): v for k, v in row.items()},
            "number": number_of(row),
            "group": GROUPS.get(row["verdict"], "fails"),
        }
        for row in claims.to_dict("records")
    ]
    return Section(
        kind="claims",
        title="Claims",
        lead="A claim holds if the whole 95 % interval over seeds lies within the threshold.",
        content={
            "claims": rows,
            "counts": {name: [row["group"] for row in rows].count(name) for name in FILTERS},
            "filters": FILTERS,
        },
    )
