"""Test windows of rates against trainings of 1000 steps. ``python -m benchmarks.rate_window``

Measures ``rate_window`` on networks of ``benchmarks.networks``, with other minibatches than those
that they were trained on, and compares its ends with the lowest and highest of nine rates at which
the network trains (``benchmarks.rate_outcomes``). Levels and factors of the search were chosen on
the training part; the held-out part decided nothing. Those that train at some
rate come first. Finished rows are kept: run it again to go on.

``--replay`` runs the same search on stored losses of trials, of more networks in a minute:
``results/rate_trials.npz``, nine rates, 150 steps, recorded on an H100.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.networks import Net, build, held_out_nets, training_nets
from benchmarks.rate_outcomes import RATES, STEPS, is_known, rates_that_train
from benchmarks.trainability import SUBSET
from init_bench import datasets
from init_bench.diagnosis.learning_rates.learner import GOAL
from init_bench.diagnosis.learning_rates.pipeline import rate_window
from init_bench.diagnosis.learning_rates.trials import Levels, Trial, search

PARTS = {"held-out": held_out_nets, "training": training_nets}
CHANCE = math.log(10) - 9 / (2 * 128)
"""Loss of the best constant output on a minibatch: the entropy that the plug-in estimate (Miller,
1955) gives ten equal classes and 128 samples."""
STEP = 0.5
"""Decades between two rates of the grid."""


def measured(net: Net, part: str) -> dict[str, object]:
    """Return a network's window, the rates at which it trains, and whether their ends agree."""
    data = datasets.load("mnist")
    begun = time.perf_counter()
    window = rate_window(build(net), data.inputs[:SUBSET], data.targets[:SUBSET])
    seconds = time.perf_counter() - begun
    train = rates_that_train(net)
    return {
        "part": part,
        "name": net.name,
        "kind": net.kind,
        **_ends(train, window.low, window.high),
        "steps": int(window.trials["steps"].sum()),
        "curvature_rate": window.curvature_rate,
        "scale_free": len(window.scale_free),
        "seconds": round(seconds, 1),
    }


def replayed(losses: np.ndarray, net: Net, part: str) -> dict[str, object]:
    """Return the same of a search that reads the losses of its trials: (rates, steps)."""
    first = float(losses[0, 0]) if math.isfinite(losses[0, 0]) else CHANCE
    levels = Levels(first=first, chance=CHANCE, goal=GOAL * min(first, CHANCE))

    def run(lr: float, longest: int, until: float, held: int) -> Trial:
        trial = Trial(lr=lr)
        for loss in losses[RATES.index(lr)][:longest]:
            trial.losses.append(float(loss))
            if trial.decide(levels, until, held):
                break
        return trial

    found, train = search(run, list(RATES), levels, STEPS), rates_that_train(net)
    return {
        "part": part,
        "name": net.name,
        "kind": net.kind,
        **_ends(train, found.low, found.high),
        "steps": found.steps,
    }


def _ends(train: list[float], low: float, high: float) -> dict[str, object]:
    """Return the columns about both ends."""
    first, last = min(train, default=math.nan), max(train, default=math.nan)
    return {
        "trains_from": first,
        "trains_to": last,
        "low": low,
        "high": high,
        "low_agrees": _agree(low, first),
        "high_agrees": _agree(high, last),
    }


def _agree(found: float, true: float) -> bool:
    """Return whether two rates are at most a step of the grid apart, or there is neither."""
    if math.isnan(found) or math.isnan(true):
        return math.isnan(found) and math.isnan(true)
    return abs(math.log10(found / true)) < 1.5 * STEP


def in_turn(nets: Sequence[Net]) -> list[Net]:
    """Return the networks with one of each kind after the other: any beginning is balanced."""
    kinds: dict[str, list[Net]] = {}
    for net in nets:
        kinds.setdefault(net.kind, []).append(net)
    longest = max(map(len, kinds.values()))
    return [group[i] for i in range(longest) for group in kinds.values() if i < len(group)]


def report(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row per group: networks, shares that agree and their 95 % intervals."""
    trains = frame["trains_to"].notna()
    groups = {"train": frame[trains], "train at no rate": frame[~trains]}
    groups |= {str(kind): group for kind, group in frame[trains].groupby("kind")}
    rows = [
        {
            "networks": name,
            "number": len(group),
            "upper end": share(group["high_agrees"]),
            "lower end": share(group["low_agrees"]),
            "mean steps": round(group["steps"].mean()),
        }
        for name, group in groups.items()
        if len(group)
    ]
    return pd.DataFrame(rows)


def share(agree: pd.Series) -> str:
    """Return a share with its 95 % interval (Clopper and Pearson, 1934)."""
    hits, number = int(agree.sum()), len(agree)
    low, high = stats.binomtest(hits, number).proportion_ci(0.95)
    return f"{hits}/{number} = {hits / number:.0%} ({low:.0%} to {high:.0%})"


def replay(part: str) -> pd.DataFrame:
    """Return a row per network whose trials and outcomes are stored."""
    stored = np.load(RESULTS / "rate_trials.npz")
    losses = dict(zip(stored["names"].tolist(), stored["losses"], strict=True))
    nets = [net for net in PARTS[part]() if net.name in losses and is_known(net)]
    return pd.DataFrame([replayed(losses[net.name], net, part) for net in nets])


def main() -> None:
    """Measure networks whose outcomes are stored, then print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="held-out")
    parser.add_argument("--nets", type=int, default=1000, help="measure at most this many")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin none after these")
    parser.add_argument("--replay", action="store_true", help="search in stored losses")
    asked = parser.parse_args()
    if asked.replay:
        frame = replay(asked.part)
        save(frame, f"rate_window-replayed-{asked.part}")
        print(report(frame).to_string(index=False))
        return
    torch.set_num_threads(1)
    path, end = RESULTS / "rate_window.csv", time.monotonic() + 60 * asked.minutes
    rows: list[Mapping[Any, Any]] = []
    if path.exists():
        rows += pd.read_csv(path).to_dict("records")
    done = {row["name"] for row in rows}
    nets = [net for net in in_turn(PARTS[asked.part]()) if is_known(net)]
    nets = sorted(nets, key=lambda net: not rates_that_train(net))[: asked.nets]
    for net in nets:
        if net.name not in done and time.monotonic() < end:
            rows.append(measured(net, asked.part))
            print(rows[-1], flush=True)
            save(pd.DataFrame(rows), "rate_window")
    frame = pd.DataFrame(rows)
    print(report(frame[frame["part"] == asked.part]).to_string(index=False))


if __name__ == "__main__":
    main()
