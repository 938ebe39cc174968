"""Prepare a list of claims with a verdict on each."""

import pandas as pd

from init_bench.figures.claim_list import number_of
from init_bench.figures.page.document import Section
from init_bench.figures.style import need


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
            "ok": row["verdict"] == "holds",
        }
        for row in claims.to_dict("records")
    ]
    return Section(
        kind="claims",
        title="Claims",
        lead="A claim holds if the whole 95 % interval over seeds lies within the threshold.",
        content={"claims": rows, "held": sum(row["ok"] for row in rows)},
    )
