"""Test whether the advice of a verdict helps. ``python -m benchmarks.advice``

Takes random, spoiled and recent networks with a finding that is bad or to watch, follows the advice
by script (``benchmarks.advice_changes``) and trains both, 300 steps at each of seven rates. Advice
that asks for another architecture or batch cannot be followed by a script; it is counted.
"""

import argparse
import copy
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

import pandas as pd
import torch
from torch import nn

from benchmarks import recent_networks
from benchmarks.advice_changes import BY_HAND, WARM_UP, follow, origins
from benchmarks.fault_localization import SPOILS, sound_net, spoilable
from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.networks import Net, build, held_out_nets
from benchmarks.rate_window import in_turn
from benchmarks.trainability import QUICK, outcome, train, trains
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
SEVERITIES = ("bad", "watch")


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


def compared(net: Net, model: nn.Module, found: Diagnosis) -> list[dict[str, object]]:
    """Return a row per verdict of a network: its outcome before and after."""
    advised = copy.deepcopy(model)
    done = follow(advised, found, net.number)
    about = {"network": net.name, "activation": net.activation, "done": done}
    rows: list[dict[str, object]] = [
        {"severity": severity, "verdict": verdict, **about} for severity, verdict in _starts(found)
    ]
    if done == BY_HAND:
        return rows
    if found.healthy:
        measured = _windows(net, model, advised, WARM_UP_STEPS if WARM_UP in done else 0)
    else:
        measured = _losses(net, model, advised)
    return [{**row, **measured} for row in rows]


def _starts(found: Diagnosis) -> list[tuple[str, str]]:
    """Return severity and verdict of what follows from nothing else."""
    rows = origins(found)[["severity", "verdict"]].drop_duplicates()
    return [(row["severity"], row["verdict"]) for row in rows.to_dict("records")]


def _losses(net: Net, model: nn.Module, advised: nn.Module) -> dict[str, object]:
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


def _windows(net: Net, model: nn.Module, advised: nn.Module, warm_up: int) -> dict[str, object]:
    """Compare two networks of which the first is said to train badly, by rates and steps."""
    before = _window(partial(copy.deepcopy, model), net, 0)
    after = _window(partial(copy.deepcopy, advised), net, warm_up)
    rates = (after.rates > before.rates) - (after.rates < before.rates)
    steps = (after.steps * MORE < before.steps) - (before.steps * MORE < after.steps)
    return {
        "rates_before": before.rates,
        "rates_after": after.rates,
        "steps_before": before.steps,
        "steps_after": after.steps,
        "result": _word(rates + steps),
    }


def _window(made: Callable[[], nn.Module], net: Net, warm_up: int) -> Window:
    data = datasets.load("mnist")
    courses = [train(made(), data, net, lr, QUICK.steps, warm_up) for lr in QUICK.rates]
    steps = [len(losses) for losses in courses if trains(losses)]
    return Window(len(steps), min(steps, default=math.inf))


def _word(gain: int) -> str:
    return "better" if gain > 0 else "worse" if gain < 0 else "equal"


def collected(each: int, minutes: float, severities: tuple[str, ...]) -> pd.DataFrame:
    """Return the rows of at most ``each`` networks per verdict, measured within ``minutes``."""
    data, until = datasets.load("mnist"), time.monotonic() + 60 * minutes
    inputs, targets = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    rows: list[dict[str, object]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for net, model in candidates():
        if time.monotonic() > until:
            break
        found = diagnose(model, inputs, targets)
        starts = [start for start in _starts(found) if start[0] in severities]
        if any(seen[start] < each for start in starts):
            rows += compared(net, model, found)
            seen.update(starts)
    return pd.DataFrame(rows)


def _kept(severities: tuple[str, ...]) -> pd.DataFrame:
    """Return the stored rows of severities that are not measured now."""
    if not TABLE.exists():
        return pd.DataFrame()
    stored = pd.read_csv(TABLE)
    return stored[~stored["severity"].isin(severities)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=EACH, help="networks per verdict")
    parser.add_argument("--minutes", type=float, default=20, help="no network begins after these")
    parser.add_argument("--severity", choices=SEVERITIES, help="of the findings (default: both)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    severities = (given.severity,) if given.severity else SEVERITIES
    table = pd.concat([_kept(severities), collected(given.each, given.minutes, severities)])
    counts = table.fillna({"result": BY_HAND}).groupby(["severity", "verdict", "result"]).size()
    print(counts.unstack(fill_value=0).to_string())
    for severity, results in table.dropna(subset=["result"]).groupby("severity")["result"]:
        print(f"{severity}: better or equal {(results != 'worse').mean():.3f} of {len(results)}")
    print(table[table["result"] == "worse"].to_string())
    print(save(table, TABLE.stem))


if __name__ == "__main__":
    main()
