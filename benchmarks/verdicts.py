"""Test how well verdicts predict training. ``python -m benchmarks.verdicts``

Diagnoses the networks of ``benchmarks.networks`` at step 0 and trains those without a stored
outcome (``benchmarks.trainability``). Fits thresholds on the training part. Reports ROC AUC on the
held-out part, for the verdicts and for each single-number rule. AUC is also reported for training
within the quick budget, to which nothing was fitted.
"""

import math

import numpy as np
import pandas as pd
from scipy import optimize, stats

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.network_evidence import NetworkEvidence, described, evidence_of
from benchmarks.networks import PLAIN, held_out_nets, training_nets
from benchmarks.trainability import PATIENT, QUICK
from init_bench.diagnosis.judgment import judge
from init_bench.diagnosis.measures.gradients import gradient_left
from init_bench.diagnosis.measures.rows import is_normalized
from init_bench.diagnosis.measures.signal import output_spread
from init_bench.diagnosis.rules.gradients import EXPLODES_NORMALIZED
from init_bench.diagnosis.rules.menu import RULES

MEASURES = {"gradient": gradient_left, "output": output_spread}
SIDES = ("gradient, either way", "output vanishes", "output explodes")
"""What thresholds are fitted to."""

BUDGETS = {"trains": PATIENT, "trains_quickly": QUICK}
"""By column, the budget within which it says whether a network trains."""

MOST_DECADES = 12.0
FALSE_ALARMS = 0.01
RESAMPLES = 2000
"""Of the bootstrap over networks."""
SHARPNESS, START = 4.0, (2.5, 4.0, 2.5)
"""Where the fit begins: a slope of the logistic curve and the thresholds in decades."""


def single_rules(network: NetworkEvidence) -> dict[str, float]:
    """Return the single-number rules, each so that more is better."""
    evidence = network.evidence
    hidden = evidence.profile[evidence.profile["nonlinear"]]
    ratio = hidden["gradient"].iloc[0] / hidden["gradient"].iloc[-1]
    weighed = evidence.profile[evidence.profile["weight_gain"].notna()]["gradient"]
    before = weighed.iloc[0] / weighed.iloc[-1]
    return {
        "output std": -abs(_log10(evidence.output.get("std", math.nan))),
        "last activation's std": -abs(_log10(hidden["std"].iloc[-1])),
        "gradient-norm ratio": -abs(_log10(ratio)),
        "gradient-norm ratio, pre-activations": -abs(_log10(before)),
        "near-zero share (fastai)": -float(np.mean(network.near_zero)),
        "saturation (delve)": float(np.mean(network.delve)),
    }


def decades(network: NetworkEvidence) -> dict[str, float]:
    """Return the logarithm of each measure, 0 where there is nothing to measure.

    A value that is not finite counts as the largest possible.
    """
    found = {}
    for name, measure in MEASURES.items():
        values = measure(network.evidence)["value"]
        size = _log10(values.iloc[0]) if len(values) else 0.0
        size = MOST_DECADES if math.isnan(size) else size
        found[name] = min(max(size, -MOST_DECADES), MOST_DECADES)
    return found


def off_by(frame: pd.DataFrame) -> np.ndarray:
    """Return by how many decades a network is off on each of the ``SIDES``: (networks, 3)."""
    gradient, output = frame["gradient"], frame["output"]
    return np.stack([gradient.abs(), (-output).clip(lower=0), output.clip(lower=0)], axis=1)


def table(found: list[NetworkEvidence]) -> pd.DataFrame:
    """Return a row per network: what it is, whether it trains, and every number."""
    rows = []
    for network in found:
        verdicts = judge(network.evidence)
        bad = verdicts[verdicts["severity"] == "bad"]["verdict"].unique()
        said = {"verdicts": ", ".join(bad)}
        normalized = {"normalized": is_normalized(network.evidence)}
        numbers = {**decades(network), **single_rules(network)}
        rows.append({**described(network), **normalized, **said, **numbers})
    return pd.DataFrame(rows)


def fitted(frame: pd.DataFrame) -> np.ndarray:
    """Return the thresholds, in decades, that explain best which networks train.

    The model: P(trains) is a logistic curve in 1 − max(decades / threshold), the margin the
    verdicts leave; found by Nelder and Mead's method.
    """
    trains = np.where(frame["trains"], 1.0, -1.0)

    def loss(logs: np.ndarray) -> float:
        margin = np.exp(logs[0]) * score(frame, np.exp(logs[1:]))
        prior = 0.01 * float(np.square(logs[1:] - np.log(START)).sum())
        return float(np.logaddexp(0, -margin * trains).mean()) + prior

    begin = np.log([SHARPNESS, *START])
    found = optimize.minimize(
        loss, begin, method="Nelder-Mead", options={"maxiter": 6000, "maxfev": 6000}
    )
    thresholds: np.ndarray = np.exp(found.x[1:])
    return thresholds


def widened(frame: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """Return the thresholds times one factor, so that 1 % of the networks that train cross one.

    The order of the networks, and so AUC, is the same; a verdict shall seldom be a false alarm.
    """
    worst = 1 - score(frame[frame["trains"]], thresholds)
    wider: np.ndarray = thresholds * max(1.0, float(np.quantile(worst, 1 - FALSE_ALARMS)))
    return wider


def score(frame: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """Return the margin that the worst measure leaves: 1 at its best, below 0 a verdict."""
    worst: np.ndarray = (off_by(frame) / thresholds).max(axis=1)
    return 1 - worst


def excused(frame: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """Return the same margin with the rules' exception: in normalized networks gradients may grow
    up to a threshold of their own."""
    own = np.array([math.log10(EXPLODES_NORMALIZED), *thresholds[1:]])
    grows = frame["normalized"] & (frame["gradient"] > 0)
    return np.where(grows, score(frame, own), score(frame, thresholds))


def auc(values: np.ndarray, trains: np.ndarray) -> float:
    """Return the share of pairs of a network that trains and one that does not put in order."""
    ranks = stats.rankdata(np.nan_to_num(values, nan=-math.inf))
    good, bad = trains.sum(), (~trains).sum()
    return float((ranks[trains].sum() - good * (good + 1) / 2) / max(1, good * bad))


def report(frame: pd.DataFrame, thresholds: np.ndarray, wide: np.ndarray) -> pd.DataFrame:
    """Return AUC by budget, group of networks and rule, and by how much the verdicts' is higher.

    ``wide`` are the thresholds as ``widened``, for the row of normalized networks excused.

    ``auc_low`` and ``auc_high`` enclose 95 % of the AUCs of networks drawn with replacement, those
    that train and those that do not each among themselves; ``ahead_low`` and ``ahead_high`` those
    of the difference, both rules on the same networks.
    """
    values = {
        "verdicts": score(frame, thresholds),
        "verdicts, normalized networks excused": excused(frame, wide),
    }
    values |= {name: frame[name].to_numpy() for name in single_rules_of(frame)}
    rows = []
    for label, budget in BUDGETS.items():
        for group, chosen in groups(frame).items():
            trains = frame[label].to_numpy()[chosen]
            about = {
                "steps": budget.steps,
                "group": group,
                "networks": len(trains),
                "trains": trains.mean(),
            }
            ranked = _ranked({rule: value[chosen] for rule, value in values.items()}, trains)
            rows += [{**about, **row} for row in ranked]
    return pd.DataFrame(rows)


def _ranked(values: dict[str, np.ndarray], trains: np.ndarray) -> list[dict[str, object]]:
    """Return a row per rule for one group of networks."""
    drawn = _resampled(trains)
    areas = {rule: areas_of(value, trains, drawn) for rule, value in values.items()}
    rows: list[dict[str, object]] = []
    for rule, area in areas.items():
        ahead = areas["verdicts"] - area
        row: dict[str, object] = {"rule": rule}
        for name, part in (("auc", area), ("ahead", ahead)):
            low, high = np.quantile(part[1:], (0.025, 0.975))
            row |= {name: part[0], f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def areas_of(values: np.ndarray, trains: np.ndarray, drawn: list[np.ndarray]) -> np.ndarray:
    """Return AUC on all networks, then on each of the ``drawn``."""
    return np.array([auc(values, trains), *(auc(values[i], trains[i]) for i in drawn)])


def _resampled(trains: np.ndarray) -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    kinds = [np.flatnonzero(trains), np.flatnonzero(~trains)]
    return [np.concatenate([dice.choice(k, len(k)) for k in kinds]) for _ in range(RESAMPLES)]


def single_rules_of(frame: pd.DataFrame) -> list[str]:
    """Return the columns of the single-number rules."""
    return [str(name) for name in frame if " " in str(name)]


def groups(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which rows are plain networks and which are of kinds that mislead single numbers."""
    plain = (frame["kind"] == PLAIN).to_numpy()
    return {"plain": plain, "misleading": ~plain}


def false_alarms(found: list[NetworkEvidence]) -> pd.DataFrame:
    """Return for each rule how many networks that train and that do not cross its threshold."""
    rows = []
    for rule in RULES:
        crossed = [(network.trains, not rule.crossed(network.evidence).empty) for network in found]
        trained = [hit for trains, hit in crossed if trains]
        failed = [hit for trains, hit in crossed if not trains]
        rows.append(
            {
                "verdict": rule.verdict,
                "quantity": rule.quantity[:60],
                "of those that train": np.mean(trained),
                "of those that do not": np.mean(failed),
            }
        )
    return pd.DataFrame(rows)


def agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """Return by part and group which share of networks the word ``healthy`` is right for."""
    right = (frame["verdicts"] == "") == frame["trains"]
    group = np.where(frame["kind"] == PLAIN, "plain", "misleading")
    return (
        right.groupby([frame["part"], group, frame["trains"]])
        .agg(["size", "mean"])
        .rename_axis(index=["part", "group", "trains"])
    )


def _log10(value: float) -> float:
    if not math.isfinite(value):
        return math.nan
    return math.log10(value) if value > 0 else -MOST_DECADES


def main() -> None:
    found = {
        name: [evidence_of(net) for net in nets]
        for name, nets in (("training", training_nets()), ("held out", held_out_nets()))
    }
    frame = pd.concat([table(part).assign(part=name) for name, part in found.items()])
    print(frame.groupby(["part", "kind"])["trains"].agg(["size", "mean"]).round(2).to_string())
    training = frame[frame["part"] == "training"]
    thresholds = fitted(training)
    wide = widened(training, thresholds)
    for name, values in (("fitted", thresholds), ("widened", wide)):
        print(f"thresholds in decades, {name}: {dict(zip(SIDES, values.round(2), strict=True))}")
    print(report(training, thresholds, wide).round(4).to_string(index=False))
    areas = report(frame[frame["part"] == "held out"], thresholds, wide)
    print(areas.round(4).to_string(index=False))
    print(agreement(frame).round(3).to_string())
    for name, part in found.items():
        print(f"{name}\n{false_alarms(part).round(3).to_string()}")
    areas.to_csv(RESULTS / "verdicts-auc.csv", index=False)
    print(save(frame, "verdicts"))


if __name__ == "__main__":
    main()
