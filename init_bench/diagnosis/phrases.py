"""Put lists of names and ranges of factors into sentences."""

from collections.abc import Sequence

import pandas as pd


def listed(names: Sequence[str], most: int) -> str:
    """Return the first ``most`` names, and how many more there are.

    Example:
        >>> listed(["fc1", "fc2", "fc3"], 2), listed(["fc1", "fc2"], 2)
        ('fc1, fc2 and 1 more', 'fc1, fc2')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def factor_span(factors: pd.Series) -> str:
    """Return the least and the largest of ``factors``.

    Example:
        >>> factor_span(pd.Series([5.2, 26.0])), factor_span(pd.Series([26.1, 26.0]))
        ('5× to 26×', '26×')
    """
    low, high = f"{factors.min():.0f}×", f"{factors.max():.0f}×"
    return low if low == high else f"{low} to {high}"


def three_digits(number: float) -> str:
    """Return ``number`` to three digits, without a point behind the last.

    Example:
        >>> three_digits(2.3), three_digits(286.4)
        ('2.30', '286')
    """
    return f"{number:#.3g}".removesuffix(".")
