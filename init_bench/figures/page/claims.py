"""Prepare a list of claims with a verdict on each."""

from collections import Counter

import pandas as pd

from init_bench.figures.claim_list import number_of
from init_bench.figures.page.document import Section
from init_bench.figures.style import need

FILTERS = {"holds": "that hold", "fails": "that do not", "undecided": "undecided"}
"""Groups of claims that a reader may choose, in words."""


GROUPS = {"holds": "holds", "does not hold": "fails", "undecided": "undecided"}
"""CSS class of each verdict."""


def claims_section(claims: pd.DataFrame) -> Section:
    """Return the claims in their order, each with its number, threshold and verdict.

    Args:
        claims: ``figure``, ``statement``, ``quantity``, ``value``, ``ci_low``, ``ci_high``,
            ``seeds``, ``threshold``, ``note``, and ``verdict``: ``holds``, ``does not hold`` or
            ``undecided``.

    Raises:
        InitBenchError: a column is missing or there are no rows.
    """
    need(claims, "figure", "statement", "quantity", "value", "ci_low", "ci_high", "verdict")
    rows = [
        {
            **{str(k): v for k, v in row.items()},
            "number": number_of(row),
            "group": GROUPS[row["verdict"]],
        }
        for row in claims.to_dict("records")
    ]
    return Section(
        kind="claims",
        title="Claims",
        lead="A claim holds if the whole 95 % interval over seeds lies within the threshold. It is "
        "undecided if the interval contains the threshold, or if there is one seed.",
        content={
            "claims": rows,
            "counts": Counter(row["group"] for row in rows),
            "filters": FILTERS,
        },
    )
