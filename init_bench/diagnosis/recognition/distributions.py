"""Test if a sample could be from a distribution about 0: by its mean, size and extreme."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy import special
from torch import Tensor

from init_bench.statistics.intervals import bernstein_p

ALPHA = 1e-6
"""Each of three tests of a family rejects its own draws with at most this chance."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Hold what the tests ask of a sample.

    Attributes:
        number: of values.
        mean: of the values.
        rms: √(mean of the squares).
        largest: the largest absolute value.
        rounding: relative spacing of the values' floating-point type.
    """

    number: int
    mean: float
    rms: float
    largest: float
    rounding: float

    @classmethod
    def of(cls, values: Tensor) -> "Sample":
        """Reduce ``values``, which are finite, where they are; no float64, which some lack."""
        wide = values if values.dtype == torch.float64 else values.float()
        largest = wide.abs().max().item()
        share = wide / largest if largest else wide  # squares of a share do not overflow
        return cls(
            number=values.numel(),
            mean=share.mean().item() * largest,
            rms=math.sqrt(share.square().mean().item()) * largest,
            largest=largest,
            rounding=torch.finfo(values.dtype).eps,
        )


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Hold what the tests ask of the rows, or the columns, of a matrix.

    Attributes:
        count: of groups.
        sample: of one group: its number of values, and the mean farthest from 0 of all groups.
        rms: the smallest and the largest of all groups.
    """

    count: int
    sample: Sample
    rms: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Describe a distribution about 0, scaled to a standard deviation of 1.

    Attributes:
        kurtosis: E[z⁴].
        bound: the largest \\|z\\|, infinite if there is none.
        below: the chance of \\|z\\| < t for a t within the bound.
    """

    kurtosis: float
    bound: float
    below: Callable[[float], float]

    def could_be(self, sample: Sample, std: float) -> bool:
        """Return whether ``sample`` could be independent draws of standard deviation ``std``.

        False for such draws with a chance of at most 3 · ``ALPHA``: by their mean, by their mean
        square (exact for the normal, by Bernstein's inequality where values are bounded) and by
        their extreme, which is exact.

        Example:
            >>> values = torch.linspace(-1, 1, 1001)
            >>> UNIFORM.could_be(Sample.of(values), 3**-0.5), NORMAL.could_be(Sample.of(values), 1)
            (True, False)
        """
        if not sample.largest or not 0 < std < math.inf:
            return False
        chances = (self._mean(sample, std), self._square(sample, std), self._extreme(sample, std))
        return min(chances) >= ALPHA

    def could_be_groups(self, groups: Groups, std: float) -> bool:
        """Return whether equal parts of a sample could be draws like ``could_be``, one and all.

        Training moves rows and columns of a matrix together: some become larger than others, or
        get a mean of their own. False for independent draws with a chance of at most
        3 · ``ALPHA``: by the mean farthest from 0, by the largest and by the smallest mean square.
        """
        limit = ALPHA / groups.count
        least, most = (self._square(replace(groups.sample, rms=r), std) for r in groups.rms)
        return min(self._mean(groups.sample, std), least, most) >= limit

    def _mean(self, sample: Sample, std: float) -> float:
        z = abs(sample.mean) / std
        if math.isinf(self.bound):
            return float(2 * special.ndtr(-z * math.sqrt(sample.number)))
        # torch draws uniform numbers from a grid that includes the lower end alone
        z = max(0.0, z - sample.rounding * self.bound)
        return bernstein_p(sample.number, 1.0, self.bound, z)

    def _square(self, sample: Sample, std: float) -> float:
        n, square = sample.number, (sample.rms / std) ** 2
        if math.isinf(self.bound):
            return float(2 * min(special.chdtr(n, n * square), special.chdtrc(n, n * square)))
        sd, largest = math.sqrt(self.kurtosis - 1), max(1.0, self.bound**2 - 1)
        return bernstein_p(n, sd, largest, abs(square - 1))

    def _extreme(self, sample: Sample, std: float) -> float:
        t = sample.largest / std
        if t > self.bound * (1 + 2 * sample.rounding):
            return 0.0
        rounded = t * (1 + 2 * sample.rounding)  # as far out as the value may have been
        inside = sample.number * math.log(self.below(rounded)) if rounded < self.bound else 0.0
        beyond = -math.expm1(inside) if math.isinf(self.bound) else 1.0
        return 2 * min(math.exp(inside), beyond)


def _within(t: float) -> float:
    """Return the chance of \\|z\\| < t for a standard normal z."""
    return math.erf(t / math.sqrt(2))


UNIFORM = Family(kurtosis=1.8, bound=math.sqrt(3), below=lambda t: t / math.sqrt(3))


NORMAL = Family(kurtosis=3.0, bound=math.inf, below=_within)


def _cut_normal(cut: float) -> Family:
    """Return a normal distribution cut at ``cut`` of its standard deviations on both sides."""
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi) / _within(cut)
    scale = math.sqrt(1 - 2 * cut * density)
    return Family(
        kurtosis=(3 - 2 * density * (cut**3 + 3 * cut)) / scale**4,
        bound=cut / scale,
        below=lambda t: _within(t * scale) / _within(cut),
    )


TRUNCATED = _cut_normal(2.0)
"""A normal distribution cut at two of its standard deviations."""


CUT_AT_3 = _cut_normal(3.0)
"""A normal distribution cut at three of its standard deviations."""
