"""Apply the rules to the evidence: find what is wrong, attribute it to its cause, tabulate it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.rules.menu import RULES
from init_bench.diagnosis.rules.rule import Rule

NETWORK = "(network)"
"""``layer`` of a finding about the whole network."""


ROOT = "(the model itself)"
"""How texts name the layer of the empty name: the model, where it holds a parameter of its own."""


RATE_FIRST = "it appeared during training: try a smaller learning rate first; if it stays, "
"""Begins the advice on a finding that the weights did not have at step 0."""


COLUMNS = (
    *("layer", "verdict", "severity", "value", "threshold", "recommended"),
    *("meaning", "quantity", "cause", "advice"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Record a layer that is beyond the limit of a rule.

    Attributes:
        rule: the rule.
        layer, index: the layer, and its position in the order of execution.
        value: the measured value.
        target: the value that the layer should have; nan where the rule knows none.
        remedy: what helps here, where that is not the rule's advice.
        cause: the finding that this one follows from; ``None`` where it originates.
    """

    rule: Rule
    layer: str
    index: int
    value: float
    target: float = math.nan
    remedy: str = ""
    cause: "Finding | None" = None

    @property
    def meaning(self) -> str:
        """What is wrong with the layer, as the end of a sentence."""
        size = distance(self.value, self.rule.threshold, recommended=self.target)
        return self.rule.meaning.replace("{size}", size)

    @property
    def advice(self) -> str:
        """What helps: of a finding that follows from another, to fix that one first."""
        if self.cause is None:
            return self.remedy or self.rule.advice
        return f"fix {named(self.cause.layer)} first ({self.cause.rule.verdict} there)"


def named(layer: str) -> str:
    """Return how a sentence names a layer: in quotes, as it may be a number.

    Example:
        >>> named("0"), named("")
        ('layer "0"', '(the model itself)')
    """
    return f'layer "{layer}"' if layer else ROOT


def judge(evidence: Evidence) -> pd.DataFrame:
    """Return a row per finding: first those where a fault originates, then what follows from them.

    Columns: ``layer`` (or ``(network)``), ``verdict``, ``severity`` (``bad``, ``watch``, ``ok``),
    ``value``, ``threshold``, ``recommended`` (what the value should be; nan where no rule says),
    ``meaning`` (in words), ``quantity`` (the value's definition), ``cause`` (the layer that this is
    attributed to; empty where the fault originates) and ``advice`` (of what follows: fix that
    layer first). A network in which nothing is bad has the row ``healthy``, whose value is a
    margin: the smallest factor by which any measured value clears its limit.
    """
    findings = attribute(find(RULES, evidence))
    bad = [finding for finding in findings if finding.rule.severity == "bad"]
    if bad:
        return table(bad)
    return pd.concat([_healthy(evidence), table(findings)], ignore_index=True)


def rate_first(verdicts: Mapping[int, pd.DataFrame]) -> dict[int, pd.DataFrame]:
    """Return the verdicts by step, whose advice names the learning rate first where the finding
    appeared during training: the weights did not have it at step 0."""
    start = verdicts[0].loc[verdicts[0]["severity"] != "ok", ["layer", "verdict"]]
    had = set(start.itertuples(index=False, name=None))
    return {step: _rate_first(table, had) if step else table for step, table in verdicts.items()}


def _rate_first(table: pd.DataFrame, had: Collection[tuple[str, str]]) -> pd.DataFrame:
    found = zip(table["layer"], table["verdict"], strict=True)
    is_new = pd.Series([one not in had for one in found], index=table.index)
    is_new &= (table["severity"] != "ok") & (table["cause"] == "")
    return table.assign(advice=table["advice"].mask(is_new, RATE_FIRST + table["advice"]))


def find(rules: Iterable[Rule], evidence: Evidence) -> list[Finding]:
    """Return what is beyond the limits of ``rules``, one finding per layer and verdict."""
    found: dict[tuple[str, str, str], Finding] = {}
    for rule in rules:
        for row in rule.crossed(evidence).to_dict("records"):
            finding = Finding(rule=rule, **{str(key): value for key, value in row.items()})
            found.setdefault((finding.layer, rule.verdict, rule.severity), finding)
    return list(found.values())


def attribute(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with their causes, without those that follow from their own layer.

    Those of values that are not finite stay: no other number is left of such a layer.
    """
    local = (f for f in findings if f.rule.local and f.rule.severity == "bad")
    faults = sorted(local, key=lambda fault: fault.index)
    attributed = [replace(finding, cause=_cause(finding, faults)) for finding in findings]
    return [
        finding
        for finding in attributed
        if finding.cause is None
        or finding.cause.layer != finding.layer
        or finding.rule.verdict == "nonfinite"
    ]


def table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row per finding: those without a cause first, in order of execution."""
    ordered = sorted(findings, key=lambda finding: (finding.cause is not None, finding.index))
    rows = [
        {
            "layer": finding.layer,
            "verdict": finding.rule.verdict,
            "severity": finding.rule.severity,
            "value": finding.value,
            "threshold": finding.rule.threshold,
            "recommended": finding.target,
            "meaning": finding.meaning,
            "quantity": finding.rule.quantity,
            "cause": (finding.cause.layer or ROOT) if finding.cause else "",
            "advice": finding.advice,
        }
        for finding in ordered
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def distance(value: float, limit: float, *, recommended: float = math.nan) -> str:
    """Return in words how far ``value`` is from the recommended one, or else from the limit.

    Example:
        >>> distance(0.01, 0.02, recommended=1.0), distance(30, 12), distance(0, 1)
        ('100× smaller than recommended', '2.5× above the limit', 'all 0')
    """
    if value == 0:
        return "all 0"
    if recommended > 0:
        side = "larger" if value > recommended else "smaller"
        return f"{_factor(value, recommended)} {side} than recommended"
    if limit == 0:
        return "above the limit 0"
    return f"{_factor(value, limit)} {'above' if value > limit else 'below'} the limit"


def _factor(value: float, other: float) -> str:
    return _times(max(value / other, other / value))


def _times(factor: float) -> str:
    """Return a factor as a text: 2.5×, 100×, 3e+06×."""
    return f"{factor:.0f}×" if 10 <= factor < 1e5 else f"{factor:.2g}×"


def margin_of(rule: Rule, evidence: Evidence) -> float:
    """Return the factor by which the worst layer clears the rule's limit; inf if there is none.

    Below 1 the layer is beyond the limit. A limit of 0 is cleared by any factor or by none.
    """
    worst = _worst(rule, evidence)
    if worst is None:
        return math.inf
    if rule.threshold == 0:
        return 0.0 if worst.value > 0 else math.inf
    if rule.above:
        return rule.threshold / worst.value if worst.value else math.inf
    return float(worst.value / rule.threshold)


def _cause(finding: Finding, faults: Sequence[Finding]) -> Finding | None:
    """Return the fault that ``finding`` follows from, ``None`` where it originates.

    A local fault originates in its layer; that of a gradient follows from another one there. Any
    other finding follows from a fault of its own layer, else from the nearest local fault before
    it, if there is one; a gradient, which runs backwards, from the last local fault anywhere.
    """
    own = [fault for fault in faults if fault.layer == finding.layer]
    if finding.rule.local:
        other = [fault for fault in own if not fault.rule.backward]
        return other[0] if other and finding.rule.backward else None
    if own:
        return own[0]
    before = [f for f in faults if finding.rule.backward or f.index <= finding.index]
    return before[-1] if before else None


def _healthy(evidence: Evidence) -> pd.DataFrame:
    """Return the row of a healthy network, with the limit that it is closest to."""
    # Units are distinct or not: the share that is has no margin.
    rules = [rule for rule in RULES if rule.severity == "bad" and rule.verdict != "symmetric"]
    margins = [margin_of(rule, evidence) for rule in rules]
    least = min(margins)
    nearest = rules[margins.index(least)]
    worst = _worst(nearest, evidence)
    place = f" at {named(worst.layer)}" if worst else ""
    near = "no value is near a limit"
    if worst and math.isfinite(least):
        side = f"{'below' if nearest.above else 'above'} the limit {nearest.threshold:.3g}"
        near = f"closest to a limit: {nearest.verdict}{place}: {worst.value:.3g}, "
        near += f"{_times(least)} {side}"
    row = {
        "layer": NETWORK,
        "verdict": "healthy",
        "severity": "ok",
        "value": least,
        "threshold": 1.0,
        "recommended": math.nan,
        "meaning": near,
        "quantity": "margin: smallest factor by which any measured value clears its limit; here "
        f"that of {nearest.verdict}{place}: {nearest.quantity}",
        "cause": "",
        "advice": "",
    }
    return pd.DataFrame([row], columns=list(COLUMNS))


def _worst(rule: Rule, evidence: Evidence) -> Finding | None:
    """Return the layer nearest to the rule's limit, or furthest beyond it, if there is any."""
    rows = rule.measured(evidence)
    values = rows["value"].to_numpy(float)
    if np.isnan(values).all():
        return None
    position = int(np.nanargmax(values) if rule.above else np.nanargmin(values))
    return Finding(rule=rule, **{str(k): v for k, v in rows.iloc[position].to_dict().items()})
