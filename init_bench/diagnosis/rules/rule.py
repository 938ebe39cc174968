"""Define what a verdict rule is: a limit on one measured quantity.

``menu.py`` lists them; a new one is an entry there, or in the file of its kind.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.measures.rows import NO_ROWS, always

MARKS = {
    "nonfinite": ("#7F0000", "*"),
    "vanishing_signal": ("#0072B2", "v"),
    "exploding_signal": ("#D55E00", "^"),
    "vanishing_gradient": ("#0072B2", "<"),
    "exploding_gradient": ("#D55E00", ">"),
    "collapsed": ("#56B4E9", "D"),
    "symmetric": ("#CC79A7", "P"),
    "dead_units": ("#000000", "X"),
    "one_sided": ("#999933", "h"),
    "saturated": ("#E69F00", "s"),
}
"""Color and marker of each verdict of ours in the figure, as matplotlib names them."""


@dataclass(frozen=True)
class Rule:
    """Describe one way in which an initialization can fail.

    Attributes:
        verdict: its name; several rules may share one.
        quantity: the definition of what is measured.
        measure: returns ``layer``, ``index`` and ``value`` of each layer that can be judged, and
            in ``target``, if it knows one, the value that the layer should have.
        threshold: the limit.
        above: whether values above the limit are bad; else those below it are.
        meaning: what is wrong with the layer, as the end of a sentence. ``{size}`` becomes
            "50× smaller than recommended", or "2× below the limit" where there is no target.
        advice: what usually helps.
        local: whether the layer itself causes the value, whatever its input.
        backward: whether the value depends on later layers, as gradients do.
        first_only: report only the first layer beyond the limit: later ones follow from it.
        severity: ``bad`` for what does not train at any usual learning rate, or ``watch`` for what
            trains, but at fewer rates, slower, or not at a greater depth.
        where: the networks that the rule applies to.
        mark: color and marker of the verdict in the figure, unless ``MARKS`` has it.
    """

    verdict: str
    quantity: str
    measure: Callable[[Evidence], pd.DataFrame]
    threshold: float
    _: KW_ONLY
    above: bool
    meaning: str
    advice: str
    local: bool = False
    backward: bool = False
    first_only: bool = False
    severity: str = "bad"
    where: Callable[[Evidence], bool] = always
    mark: tuple[str, str] = ("#7F7F7F", "o")

    def measured(self, evidence: Evidence) -> pd.DataFrame:
        """Return ``layer``, ``index`` and ``value`` of each layer that can be judged."""
        if not self.where(evidence):
            return NO_ROWS
        if self.measure not in evidence.measured:
            evidence.measured[self.measure] = self.measure(evidence)
        return evidence.measured[self.measure]

    def crossed(self, evidence: Evidence) -> pd.DataFrame:
        """Return the layers beyond the limit: ``layer``, ``index``, ``value``, in order."""
        rows = self.measured(evidence)
        bad = rows["value"] > self.threshold if self.above else rows["value"] < self.threshold
        if not bad.any():  # as of most rules: sorting no rows took much of a diagnosis
            return NO_ROWS
        rows = rows[bad].sort_values("index", kind="stable").drop_duplicates("layer")
        return rows.head(1) if self.first_only else rows


too_large = partial(Rule, above=True)
"""A rule against values above the limit."""


too_small = partial(Rule, above=False)
"""A rule against values below the limit."""
