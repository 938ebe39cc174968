"""Hold the sums that one pass over a layer's values yields, on any device."""

from dataclasses import dataclass

SHIFT_SAMPLES = 64
"""Values are summed as their differences from s, by unit the first sample or, of more samples than
these, the mean of so many: one alone might lie far from all."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over ``(samples, units)`` values, in the order of ``statistics_from_sums``.

    Attributes:
        low, high: least and greatest value; nan or infinite where some value is.
        constant_units: how many units are the same for all samples.
        mean: over all values.
        within: mean over units of the variance over samples.
        between: variance over units of the mean over samples.
        zeros, near_ends: how many values are 0, and beyond either of two ends; nan without ends.
    """

    low: float
    high: float
    constant_units: float
    mean: float
    within: float
    between: float
    zeros: float
    near_ends: float
