"""Plan looks at a growing number of seeds, so that looking again costs no false differences."""

LOOKS = 3
"""Looks of a comparison that adds seeds."""


def planned_looks(first: int, looks: int = LOOKS) -> tuple[int, ...]:
    """Return the numbers of seeds at which a comparison is looked at, each twice the one before.

    A group-sequential test: it may stop at any look. Each of the K looks tests at α / K, so the
    chance of a false difference at any of them is at most α, however the looks depend on each
    other (Bonferroni). With three looks that is a little stricter than Pocock's equal boundaries,
    and holds for any test, t or sign-flip, at any number of seeds.

    Source:
        Pocock, Group sequential methods in the design and analysis of clinical trials, 1977, for
        equal boundaries; the split of α is Bonferroni's inequality.

    Example:
        >>> planned_looks(10)
        (10, 20, 40)
    """
    return tuple(first * 2**look for look in range(looks))
