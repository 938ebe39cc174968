"""Summarize a batch of inputs for mean field theory: length, angle, number."""

import math
from dataclasses import dataclass

from torch import Tensor

from init_bench.errors import InitBenchError, check_finite


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Describe a batch whose samples all have one length and lie one angle apart.

    Attributes:
        second_moment: mean of x² over features.
        cosine: mean over pairs of samples of x·x' / (\\|x\\| \\|x'\\|).
        samples: number of samples; the default is the limit of many.

    Raises:
        InitBenchError: ``second_moment`` is negative or not finite, ``cosine`` is not in [-1, 1],
            or there are no samples.
    """

    second_moment: float = 1.0
    cosine: float = 0.0
    samples: float = math.inf

    def __post_init__(self) -> None:
        check_finite(self.second_moment, "second_moment", minimum=0)
        if not -1 <= check_finite(self.cosine, "cosine") <= 1:
            raise InitBenchError(f"cosine must lie in [-1, 1], got {self.cosine:g}")
        if not self.samples >= 1:
            raise InitBenchError(f"samples must be 1 or more, got {self.samples!r}")

    @classmethod
    def of(cls, batch: Tensor) -> "Inputs":
        """Return the moments of a batch of shape ``(samples, *features)``.

        Example:
            >>> import torch
            >>> Inputs.of(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
            Inputs(second_moment=1.0, cosine=0.0, samples=2)
        """
        x = batch.detach().cpu().reshape(len(batch), -1).double()
        number = len(x)
        moment = x.square().mean().item()
        together = x.mean(dim=0).square().mean().item()  # mean over all pairs, each with itself too
        covariance = (number * together - moment) / max(1, number - 1)
        cosine = covariance / moment if moment > 0 and number > 1 else 0.0
        return cls(second_moment=moment, cosine=min(1.0, max(-1.0, cosine)), samples=number)
