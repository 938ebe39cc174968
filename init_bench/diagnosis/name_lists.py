"""List names in a sentence: the first ones, and how many more there are."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int) -> str:
    """Return the first ``most`` names, and how many more there are.

    Example:
        >>> listed(["fc1", "fc2", "fc3"], 2), listed(["fc1", "fc2"], 2)
        ('fc1, fc2 and 1 more', 'fc1, fc2')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
