"""Test whether the advice of a verdict helps. ``python -m benchmarks.advice``

Takes random, spoiled and recent networks with a finding that is bad or to watch, follows the advice
by script (``benchmarks.advice_changes``) and trains both, 300 steps at each of seven rates. Advice
that asks for another architecture or batch cannot be followed by a script; it is counted.

Rows are saved after each network. Run it again to go on: a network is trained again only if its
weights before or after the advice are others than those that were trained.
"""

import argparse
import copy
import hashlib
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import pandas as pd
import torch
from torch import nn

from benchmarks import recent_networks
from benchmarks.advice_changes import BY_HAND, WARM_UP, change_of, follow, origins
from benchmarks.fault_localization import SPOILS, sound_net, spoilable
from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.networks import Net, build, held_out_nets
from benchmarks.rate_window import in_turn
from benchmarks.trainability import QUICK, has_trained, outcome, train
from init_bench import datasets
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis

EACH, SAMPLES = 10, 256
TABLE = RESULTS / "advice.csv"
SAME = 0.02
"""Least mean losses of two networks that do not train differ by more than this, or are equal."""

MORE = 1.25
"""Numbers of steps differ by more than this factor, or are equal."""

WARM_UP_STEPS = 30
DRAWS = 3
SEVERITIES = ("bad", "watch")
Row = dict[Hashable, Any]
OUTCOME = (
    *("before", "after", "rates_before", "rates_after", "steps_before", "steps_after"),
    *("draws", "result"),
)
START = ("severity", "verdict", "advice")
COLUMNS = (*START, "network", "activation", "done", "weights", *OUTCOME)


def candidates() -> Iterator[tuple[Net, nn.Module]]:
    """Yield in turn random networks, sound ones with one faulty layer, and recent ones."""
    random_nets, dice = iter(in_turn(held_out_nets())), random.Random("advice")
    for number in count(500):
        net = next(random_nets, None)
        if net is None:
            return
        yield net, build(net)
        sound, model = sound_net(number)
        spoil = list(SPOILS)[number % len(SPOILS)]
        layers = spoilable(model, spoil)
        if layers:
            with torch.no_grad():
                SPOILS[spoil][0](model.get_submodule(dice.choice(layers)))
            yield sound, model
        about, model = recent_networks.drawn(number)
        yield recent_networks.net_of(about), model


def compared(net: Net, model: nn.Module, found: Diagnosis, stored: list[Row]) -> list[Row]:
    """Return a row per advice of a network: its outcome before and after.

    Outcomes that are stored for the same weights are taken from there.
    """
    advised = copy.deepcopy(model)
    done = follow(advised, found, net.number)
    about: Row = {"network": net.name, "activation": net.activation, "done": done}
    about["weights"] = _digest(model, advised)
    starts, came_out = _starts(found), Row()
    if any(advice != BY_HAND for *_, advice in starts):
        came_out = _known(stored, about["weights"])
        came_out = came_out or _measured(net, model, advised, found, done)
    return [
        dict(zip(START, start, strict=True)) | about | (came_out if start[2] != BY_HAND else {})
        for start in starts
    ]


def _digest(*models: nn.Module) -> str:
    """Return a hash of all weights."""
    digest = hashlib.sha256()
    for model in models:
        for value in model.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:12]


def _known(stored: list[Row], weights: str) -> Row:
    """Return the outcomes that are stored for these weights, if any."""
    same = (row for row in stored if row.get("weights") == weights)
    return next(({name: row.get(name) for name in OUTCOME} for row in same), {})


def _measured(net: Net, model: nn.Module, advised: nn.Module, found: Diagnosis, done: str) -> Row:
    if found.healthy:
        return _windows(net, model, advised, WARM_UP_STEPS if WARM_UP in done else 0)
    return _losses(net, model, advised)


def _starts(found: Diagnosis) -> list[tuple[str, ...]]:
    """Return severity, verdict and advice of what follows from nothing else."""
    rows = origins(found)[["severity", "verdict", "advice"]].to_dict("records")
    starts = [(row["severity"], row["verdict"], change_of(row["advice"])) for row in rows]
    return list(dict.fromkeys(starts))


def _losses(net: Net, model: nn.Module, advised: nn.Module) -> Row:
    """Compare two networks of which the first is said not to train, by their least loss."""
    data = datasets.load("mnist")
    before, after = (
        outcome(partial(copy.deepcopy, one), data, net, QUICK) for one in (model, advised)
    )
    if before.trains or after.trains:
        result = _word(after.trains - before.trains)
    else:
        gained = before.best_loss - after.best_loss
        result = _word((gained > SAME) - (gained < -SAME))
    return {"before": before.best_loss, "after": after.best_loss, "result": result}


@dataclass(frozen=True)
class Window:
    """At how many of the rates a network trains, and the fewest steps it takes."""

    rates: int
    steps: float


def _windows(net: Net, model: nn.Module, advised: nn.Module, warm_up: int) -> Row:
    """Compare two networks of which the first is said to train badly, by rates and steps.

    If they differ by one rate at most, two other draws of minibatches are tried: the middle counts.
    """
    pairs: list[tuple[Window, Window]] = []
    for draw in range(DRAWS):
        batches = replace(net, number=net.number + 10_000 * draw)
        before = _window(partial(copy.deepcopy, model), batches, 0)
        after = _window(partial(copy.deepcopy, advised), batches, warm_up)
        pairs.append((before, after))
        if draw == 0 and (abs(after.rates - before.rates) > 1 or not _gain(before, after)):
            break
    before, after = sorted(pairs, key=lambda pair: _gain(*pair))[len(pairs) // 2]
    return {
        "rates_before": before.rates,
        "rates_after": after.rates,
        "steps_before": before.steps,
        "steps_after": after.steps,
        "draws": len(pairs),
        "result": _word(_gain(before, after)),
    }


def _gain(before: Window, after: Window) -> int:
    """Return whether more rates train (1) or fewer (-1), and the same of the steps, as a sum."""
    rates = (after.rates > before.rates) - (after.rates < before.rates)
    steps = (after.steps * MORE < before.steps) - (before.steps * MORE < after.steps)
    return rates + steps


def _window(made: Callable[[], nn.Module], net: Net, warm_up: int) -> Window:
    data = datasets.load("mnist")
    courses = [train(made(), data, net, lr, QUICK.steps, warm_up) for lr in QUICK.rates]
    steps = [len(losses) for losses in courses if has_trained(losses)]
    return Window(len(steps), min(steps, default=math.inf))


def _word(gain: int) -> str:
    return "better" if gain > 0 else "worse" if gain < 0 else "equal"


def collect(
    table: dict[str, list[Row]], each: int, deepest: int, severities: tuple[str, ...]
) -> Iterator[None]:
    """Put into ``table`` the rows of at most ``each`` networks per advice, a network at a time."""
    data = datasets.load("mnist")
    inputs, targets = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    seen: Counter[tuple[str, ...]] = Counter()
    for net, model in candidates():
        if net.depth > deepest:
            continue
        found = diagnose(model, inputs, targets)
        starts = [start for start in _starts(found) if start[0] in severities]
        if any(seen[start] < each for start in starts):
            table[net.name] = compared(net, model, found, table.get(net.name, []))
            seen.update(starts)
        yield


def stored_rows() -> dict[str, list[Row]]:
    """Return the stored rows by network."""
    table: dict[str, list[Row]] = {}
    if TABLE.exists():
        for row in pd.read_csv(TABLE).to_dict("records"):
            table.setdefault(row["network"], []).append(row)
    return table


def _joined(rows: dict[str, list[Row]]) -> pd.DataFrame:
    return pd.DataFrame([row for group in rows.values() for row in group], columns=[*COLUMNS])


def report(table: pd.DataFrame) -> None:
    """Print the outcomes by verdict, the shares by severity and the rows that are worse."""
    counts = table.fillna({"result": BY_HAND}).groupby(["severity", "verdict", "result"]).size()
    print(counts.unstack(fill_value=0).to_string())
    for severity, results in table.dropna(subset=["result"]).groupby("severity")["result"]:
        print(f"{severity}: better or equal {(results != 'worse').mean():.3f} of {len(results)}")
    print(table[table["result"] == "worse"].to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=EACH, help="networks per advice of a verdict")
    parser.add_argument("--minutes", type=float, default=20, help="no network begins after these")
    parser.add_argument("--severity", choices=SEVERITIES, help="of the findings (default: both)")
    parser.add_argument("--deepest", type=int, default=50, help="pass over networks of more layers")
    given = parser.parse_args()
    torch.set_num_threads(1)
    severities = (given.severity,) if given.severity else SEVERITIES
    rows, until = stored_rows(), time.monotonic() + 60 * given.minutes
    for _ in collect(rows, given.each, given.deepest, severities):
        save(_joined(rows), TABLE.stem)
        if time.monotonic() > until:
            break
    report(_joined(rows))


if __name__ == "__main__":
    main()
