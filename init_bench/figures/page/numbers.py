"""Shorten numbers for a page: as JSON values and as text."""

import math
from collections.abc import Iterable
from typing import Any

DIGITS = 4
"""Significant digits of a drawn number."""


def rounded(values: Iterable[float]) -> list[float | None]:
    """Return numbers with ``DIGITS`` significant digits; None for what is not finite.

    Example:
        >>> rounded([0.123456, float("nan"), 20000.7])
        [0.1235, None, 20000.0]
    """
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in map(float, values)]


def shown(value: Any) -> str:
    """Return a value of a table as text; nothing for one that is missing.

    Example:
        >>> shown(0.123456), shown(float("nan")), shown(True), shown(12)
        ('0.1235', '', 'yes', '12')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
