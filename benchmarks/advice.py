"""Test whether the advice of a verdict helps. ``python -m benchmarks.advice``

Takes random and spoiled networks that have a bad verdict, follows the advice of its findings by
script, and trains both: within 300 steps at the best of seven rates. Advice that asks for another
architecture or batch cannot be followed by a script; it is counted.
"""

import argparse
import copy
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.fault_localization import SPOILS, sound_net, spoilable
from benchmarks.interleaved_timing import save
from benchmarks.networks import Net, build, held_out_nets
from benchmarks.trainability import QUICK, Outcome, outcome
from init_bench import datasets
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis
from init_bench.hooks.random_streams import stream

EACH, SAMPLES = 10, 256
SAME = 0.02
"""Least mean losses of two networks that do not train differ by more than this, or are equal."""

BY_HAND = "(by hand)"
"""How the table names advice that no script can follow."""


def candidates() -> Iterator[tuple[Net, nn.Module]]:
    """Yield random networks and, in turn with them, sound ones with one faulty layer."""
    random_nets, dice = iter(held_out_nets()), random.Random("advice")
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


def follow(model: nn.Module, found: Diagnosis, seed: int) -> str:
    """Change the weights as the advice says; return what was done, ``BY_HAND`` for nothing."""
    origins = found.bad[found.bad["cause"] == ""]
    known = found.weights.dropna(subset=["recommended_std"])
    stds = {str(name): float(std) for name, std in known[["parameter", "recommended_std"]].values}
    draws, done = stream(seed, "advice"), []
    for row in origins.to_dict("records"):
        for pattern, change in CHANGES.items():
            if re.search(pattern, row["advice"]):
                change(model, row["layer"], stds, draws)
                done.append(pattern)
                break
    return "; ".join(dict.fromkeys(done)) or BY_HAND


Change = Callable[[nn.Module, str, dict[str, float], torch.Generator], None]


def _draw(weight: Tensor, std: float, draws: torch.Generator) -> None:
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=draws) * std)


def _draw_all(model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator) -> None:
    """Draw every weight with the recommended std, and set the biases to 0."""
    parameters = dict(model.named_parameters())
    for name, std in stds.items():
        _draw(parameters[name], std, draws)
    _zero_biases(model, layer, stds, draws)


def _draw_layer(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    """Draw the layer's weight with the recommended std; make its other values finite."""
    parameters = dict(model.named_parameters())
    for name, std in stds.items():
        if name.rpartition(".")[0] == layer:
            _draw(parameters[name], std, draws)
    for name, parameter in parameters.items():
        if name.rpartition(".")[0] == layer:
            with torch.no_grad():
                parameter.nan_to_num_(0.0)


def _zero_biases(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
                module.bias.zero_()


def _open_norm(
    model: nn.Module, layer: str, stds: dict[str, float], draws: torch.Generator
) -> None:
    with torch.no_grad():
        weight = model.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        weight.fill_(1.0)


CHANGES: dict[str, Change] = {
    r"fill it with 1": _open_norm,
    r"draw these weights|initialize this parameter again|too small for their": _draw_layer,
    r"bias 0, or a leaky": _zero_biases,
    r"draw (all|the) weights|all weights with|smaller weights|weights of every layer": _draw_all,
    r"check the bias and the scale": _draw_all,
}
"""What the advice asks for, by what it says; the first that fits counts."""


def compared(net: Net, model: nn.Module, found: Diagnosis) -> list[dict[str, object]]:
    """Return a row per bad verdict of a network: its outcome before and after."""
    advised = copy.deepcopy(model)
    done = follow(advised, found, net.number)
    about = {"network": net.name, "activation": net.activation, "done": done}
    rows: list[dict[str, object]] = [{"verdict": verdict, **about} for verdict in _starts(found)]
    if done == BY_HAND:
        return rows
    data = datasets.load("mnist")
    before, after = (
        outcome(partial(copy.deepcopy, one), data, net, QUICK) for one in (model, advised)
    )
    measured = {
        "before": before.best_loss,
        "after": after.best_loss,
        "result": _said(before, after),
    }
    return [{**row, **measured} for row in rows]


def _starts(found: Diagnosis) -> list[str]:
    return [str(verdict) for verdict in found.bad.loc[found.bad["cause"] == "", "verdict"].unique()]


def _said(before: Outcome, after: Outcome) -> str:
    if before.trains or after.trains:
        return {(False, True): "better", (True, False): "worse"}.get(
            (before.trains, after.trains), "equal"
        )
    gained = before.best_loss - after.best_loss
    return "better" if gained > SAME else "worse" if gained < -SAME else "equal"


def collected(each: int, minutes: float) -> pd.DataFrame:
    """Return the rows of at most ``each`` networks per verdict, measured within ``minutes``."""
    data, until = datasets.load("mnist"), time.monotonic() + 60 * minutes
    inputs, targets = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    rows: list[dict[str, object]] = []
    seen: Counter[str] = Counter()
    for net, model in candidates():
        if time.monotonic() > until:
            break
        found = diagnose(model, inputs, targets)
        verdicts = _starts(found)
        if any(seen[verdict] < each for verdict in verdicts):
            rows += compared(net, model, found)
            seen.update(verdicts)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=EACH, help="networks per verdict")
    parser.add_argument("--minutes", type=float, default=15, help="no network begins after these")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = collected(given.each, given.minutes)
    counts = table.fillna({"result": BY_HAND}).groupby(["verdict", "result"]).size()
    print(counts.unstack(fill_value=0).to_string())
    measured = table["result"].dropna()
    print(f"better or equal: {(measured != 'worse').mean():.3f} of {len(measured)}")
    print(table[table["result"] == "worse"].to_string())
    print(save(table, "advice"))


if __name__ == "__main__":
    main()
