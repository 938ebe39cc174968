"""State how std, rate, weight decay and ε of a parameter follow width and depth."""

import math
from dataclasses import dataclass

from init_bench.init.module_inits.width_growth import Growth
from init_bench.init.whole_model.rate_factors import Factors


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Hold what the law needs to know of one parameter.

    The law is stated for a model that multiplies its logits by 1/width and its residual branches
    by depth^−α. Where the forward function does not, ``folded`` puts the multiplier into the
    weight before it: a weight c times as large with c times Adam's rate, c² times that of SGD
    and ε/c computes and learns the same.

    Attributes:
        growth: how many times the base's inputs and outputs it has.
        depth: how many times the base's blocks the model has, for a parameter inside a residual
            branch; 1 for any other.
        alpha: of the multiplier of a branch.
        folded: the multiplier that the parameter takes over.
        rate: one more factor of Adam's rate.
        aspect: rows over columns of a matrix.
    """

    growth: Growth
    depth: float = 1.0
    alpha: float = 1.0
    folded: float = 1.0
    rate: float = 1.0
    aspect: float = 1.0

    @property
    def std(self) -> float:
        """Std of a weight, against that of the base."""
        return self.folded / math.sqrt(self._inner)

    @property
    def factors(self) -> dict[str, Factors]:
        """Factors by kind of optimizer; Muon's of hidden weights alone."""
        deep = self.depth ** (self.alpha - 1)
        adam = self.rate * self.folded / self._inner
        eps = self.depth**-self.alpha / (self._shared * self.folded)
        deep_sgd = self.depth ** (2 * self.alpha - 1)
        sgd = self._shared / self._inner * deep_sgd * self.folded**2
        found = {
            "sgd": Factors(lr=sgd, weight_decay=1 / sgd),
            "adam": Factors(lr=adam * deep, eps=eps),
            "adamw": Factors(lr=adam * deep, weight_decay=1 / adam, eps=eps),
        }
        if self.growth.role != "hidden":
            return found
        muon = self.folded * deep * self._spectral
        return found | {"muon": Factors(lr=muon, weight_decay=1 / muon)}

    @property
    def _inner(self) -> float:
        """By what a sum over hidden units grows that no multiplier divides again."""
        return self.growth.fan_in if self.growth.role == "hidden" else 1.0

    @property
    def _shared(self) -> float:
        """By what the gradient's entries shrink: the units that share it, 1/width before it."""
        return self.growth.fan_in if self.growth.role == "readout" else self.growth.fan_out

    @property
    def _spectral(self) -> float:
        """√(fan_out/fan_in) against the base, over torch's own √max(1, rows/columns)."""
        grown = self.growth.fan_out / self.growth.fan_in
        return math.sqrt(grown * max(1.0, self.aspect / grown) / max(1.0, self.aspect))
