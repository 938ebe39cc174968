"""Judge: the rules over the evidence, and where what they find starts."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from init_bench.diagnosis.evidence.collection import Evidence
from init_bench.diagnosis.rules import RULES, Rule

NETWORK = "(network)"
"""``layer`` of a finding about the whole network."""


ROOT = "(the model itself)"
"""In words, the layer of the empty name: the model, where it holds a parameter of its own."""


COLUMNS = ("layer", "verdict", "severity", "value", "threshold", "quantity", "cause", "advice")


def judge(evidence: Evidence) -> pd.DataFrame:
    """Return a row per finding: where faults start first, what follows from them after.

    Columns: ``layer`` (or ``(network)``), ``verdict``, ``severity`` (``bad``, ``watch``, ``ok``),
    ``value``, ``threshold``, ``quantity`` (the value's definition), ``cause`` (the layer whose
    fault this follows from; empty where it starts) and ``advice`` (for what follows: mend that
    layer first). A network in which nothing is bad has the row ``healthy``, its value the least
    margin that any rule leaves, as a factor.
    """
    findings = pd.concat(
        [_findings(rule, evidence) for rule in RULES], ignore_index=True
    ).drop_duplicates(["layer", "verdict", "severity"])
    faults = findings[findings["local"]].sort_values("index", kind="stable").to_dict("records")
    starts = [_start(row, faults) for row in findings.to_dict("records")]
    findings["cause"] = [start["layer"] or ROOT if start else "" for start in starts]
    findings["advice"] = [
        f"mend {cause} first ({start['verdict']} there)" if start else own
        for cause, start, own in zip(findings["cause"], starts, findings["advice"], strict=True)
    ]
    # What follows from a fault of its own layer adds nothing to it, unless no number is left.
    follows_itself = findings["cause"] == findings["layer"].replace("", ROOT)
    findings = findings[~follows_itself | (findings["verdict"] == "nonfinite")]
    if not (findings["severity"] == "bad").any():
        findings = pd.concat([_healthy(evidence), findings], ignore_index=True)
    else:
        findings = findings[findings["severity"] == "bad"]
    followers = findings["cause"] != ""
    ordered = findings.assign(follows=followers).sort_values(
        ["follows", "index"], kind="stable", ignore_index=True
    )
    return ordered[list(COLUMNS)]


def _findings(rule: Rule, evidence: Evidence) -> pd.DataFrame:
    found = rule.crossed(evidence)
    return pd.DataFrame(
        {
            "layer": found["layer"],
            "index": found["index"],
            "verdict": rule.verdict,
            "severity": rule.severity,
            "value": found["value"],
            "threshold": rule.threshold,
            "quantity": rule.quantity,
            "advice": rule.advice,
            "local": rule.local,
            "backward": rule.backward,
        }
    )


Finding = dict[Hashable, Any]


def _start(finding: Finding, faults: Sequence[Finding]) -> Finding | None:
    """Return the fault that ``finding`` follows from, ``None`` where it starts by itself.

    A local fault starts where it is. What is measured over depth follows from the nearest local
    fault in front of it (or, for gradients, which run backwards, from any), if there is one.
    """
    if finding["local"]:
        return None
    before = [f for f in faults if finding["backward"] or f["index"] <= finding["index"]]
    return before[-1] if before else None


def _healthy(evidence: Evidence) -> pd.DataFrame:
    # Units differ or they do not: the share that does has no margin.
    rules = [rule for rule in RULES if rule.severity == "bad" and rule.verdict != "symmetric"]
    margins = [margin_of(rule, evidence) for rule in rules]
    least = min(margins)
    nearest = rules[margins.index(least)]
    row = _worst(nearest, evidence)
    place = f" at {row['layer'] or ROOT}" if row else ""
    return pd.DataFrame(
        [
            {
                "layer": NETWORK,
                "index": 0,
                "verdict": "healthy",
                "severity": "ok",
                "value": least,
                "threshold": 1.0,
                "quantity": "least factor by which any measured value clears its threshold: that "
                f"of {nearest.verdict}{place}, {nearest.quantity}",
                "cause": "",
                "advice": "",
            }
        ]
    )


def margin_of(rule: Rule, evidence: Evidence) -> float:
    """Return the factor by which the worst layer clears the rule's threshold; inf if none is.

    Below 1 the rule is broken. A threshold of 0 is cleared by any factor or by none.
    """
    nearest = _worst(rule, evidence)
    if nearest is None:
        return math.inf
    worst = nearest["value"]
    if rule.threshold == 0:
        return 0.0 if worst > 0 else math.inf
    if rule.above:
        return rule.threshold / worst if worst else math.inf
    return float(worst / rule.threshold)


def _worst(rule: Rule, evidence: Evidence) -> Finding | None:
    """Return the row nearest to the rule's threshold, or furthest beyond it, if there is any."""
    found = rule.measured(evidence).dropna(subset=["value"])
    rows = found.sort_values("value", ascending=not rule.above).to_dict("records")
    return rows[0] if rows else None
