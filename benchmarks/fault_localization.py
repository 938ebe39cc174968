"""Test whether diagnose names the faulty layer. ``python -m benchmarks.fault_localization``

Takes 200 sound networks that train (MLPs with and without batch normalization, convolutional and
residual networks). Gives one random layer of each copy one of six faults.
"""

import argparse
import random
from collections.abc import Callable
from itertools import count, islice, pairwise

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.interleaved_timing import save
from benchmarks.networks import BODIES, MISLEADING, Net
from benchmarks.trainability import QUICK, stored_outcome
from init_bench import datasets
from init_bench.diagnosis.pipeline import diagnose
from init_bench.diagnosis.result import Diagnosis
from init_bench.init.whole_model.initialization import fill_weights

NETWORKS, SAMPLES = 200, 64
SOUND = {
    "relu": "he_normal",
    "leaky_relu": "he_normal",
    "gelu": "he_normal",
    "silu": "he_normal",
    "tanh": "lecun_normal",
    "selu": "lecun_normal",
    "elu": "he_normal",
}
"""Initializer that fits each nonlinearity."""
KINDS = ("plain", "plain", *MISLEADING)


def _scale(factor: float) -> Callable[[nn.Module], None]:
    def spoil(layer: nn.Module) -> None:
        _weight(layer).mul_(factor)

    return spoil


def _equal_rows(layer: nn.Module) -> None:
    _weight(layer).copy_(_weight(layer)[:1].expand_as(_weight(layer)).clone())


def _low_bias(layer: nn.Module) -> None:
    assert isinstance(layer.bias, Tensor)
    layer.bias.fill_(-10)


def _zero(layer: nn.Module) -> None:
    _weight(layer).zero_()


def _one_nan(layer: nn.Module) -> None:
    _weight(layer).view(-1)[0] = torch.nan


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight


SPOILS: dict[str, tuple[Callable[[nn.Module], None], str]] = {
    "weights x 0.01": (_scale(0.01), "vanishing_signal"),
    "weights x 30": (_scale(30), "exploding_signal"),
    "all rows equal": (_equal_rows, "symmetric"),
    "bias -10 before a ReLU": (_low_bias, "dead_units"),
    "zeroed": (_zero, "vanishing_signal"),
    "one nan": (_one_nan, "nonfinite"),
}
"""Each way to spoil a layer and the verdict that is right."""
SMALL = ("zeroed", "weights x 0.01")
"""Those that are no fault at the end."""


def sound_net(number: int) -> tuple[Net, nn.Module]:
    """Return the sound network of this number."""
    dice = random.Random(f"placing {number}")
    kind, activation = dice.choice(KINDS), dice.choice(list(SOUND))
    net = Net(
        number=number,
        kind=kind,
        activation=activation,
        init=SOUND[activation],
        scale=1.0,
        bias_std=0.0,
        depth=dice.randint(4, 14),
        width=dice.choice((50, 100)) if "conv" not in kind else 8,
    )
    model = BODIES[kind](net)
    fill_weights(model, net.init, seed=number)
    return net, model


def spoilable(model: nn.Module, spoil: str) -> list[str]:
    """Return the layers in which this fault is one.

    A low bias kills units before a ReLU only; zeros and small weights are no fault in the last
    layer, which learns from them, nor at the end of a residual branch, which the signal bypasses.
    """
    found = []
    for path, module in model.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        children = [*module.named_children(), ("", None)]
        last = [name for name, layer in children if isinstance(layer, nn.Linear | nn.Conv2d)][-1:]
        for (name, layer), (_, after) in pairwise(children):
            if not isinstance(layer, nn.Linear | nn.Conv2d | nn.BatchNorm2d | nn.BatchNorm1d):
                continue
            weighs = isinstance(layer, nn.Linear | nn.Conv2d)
            if spoil == "bias -10 before a ReLU":
                fits = isinstance(after, nn.ReLU)
            else:
                fits = weighs and not (spoil in SMALL and [name] == last)
            if fits:
                found.append(f"{path}.{name}".lstrip("."))
    return found


def found_at(diagnosis: Diagnosis, layer: str, verdict: str) -> bool:
    """Return whether the first root cause is this layer with this verdict.

    A scale that a normalization undoes is to be watched; any other fault here is bad.
    """
    found = diagnosis.verdicts[diagnosis.verdicts["severity"] != "ok"]
    starts = found[found["cause"] == ""]
    right = (starts["layer"] == layer) & (starts["verdict"] == verdict)
    return bool(right.any()) and starts["layer"].iloc[0] == layer


def is_sound(number: int) -> bool:
    """Return whether the network trains in the calibration's quick budget."""
    return stored_outcome(sound_net(number)[0], QUICK, lambda: sound_net(number)[1]).trains


def check(number: int) -> list[dict[str, object]]:
    """Return a row for the sound network and one for each way to spoil it."""
    data = datasets.load("mnist")
    x, y = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    net, model = sound_net(number)
    about = {"number": number, "kind": net.kind, "activation": net.activation, "depth": net.depth}
    sound = diagnose(model, x, y, nn.functional.cross_entropy)
    said = ", ".join(sound.bad["verdict"].unique())
    rows: list[dict[str, object]] = [{**about, "spoilt": "", "right": sound.healthy, "said": said}]
    for spoil, (change, verdict) in SPOILS.items():
        _, model = sound_net(number)
        layers = spoilable(model, spoil)
        if not layers:
            continue
        layer = random.Random(f"{spoil} {number}").choice(layers)
        with torch.no_grad():
            change(model.get_submodule(layer))
        found = diagnose(model, x, y, nn.functional.cross_entropy)
        starts = found.bad[found.bad["cause"] == ""]
        said = "; ".join(f"{a} {b}" for a, b in starts[["layer", "verdict"]].to_numpy()[:3])
        right = found_at(found, layer, verdict)
        rows.append({**about, "spoilt": spoil, "layer": layer, "right": right, "said": said})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=NETWORKS)
    given = parser.parse_args()
    sound = islice(filter(is_sound, count()), given.networks)
    rows = pd.DataFrame([row for number in sound for row in check(number)])
    shares = rows.groupby("spoilt")["right"].agg(["size", "mean"])
    print(shares.round(4).to_string())
    print(rows[~rows["right"].astype(bool)].to_string())
    spoilt = rows["spoilt"] != ""
    print(f"faulty copies, right verdict on right layer: {rows[spoilt]['right'].mean():.4f}")
    print(f"sound networks without a bad verdict: {rows[~spoilt]['right'].mean():.4f}")
    print(save(rows, "fault_localization"))


if __name__ == "__main__":
    main()
