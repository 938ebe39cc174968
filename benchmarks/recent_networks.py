"""Test verdicts on transformers, gated and equalized layers and adapters.

``python -m benchmarks.recent_networks``: diagnoses each small network at step 0 and trains it on
MNIST: 300 SGD steps at the best of seven rates and, where that was not enough, 1000 steps at the
best of nine. No limit was fitted to these networks; one rule
was changed for two of them. Reports by verdict how many train.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.interleaved_timing import RESULTS, save
from benchmarks.networks import Net
from benchmarks.trainability import PATIENT, QUICK, outcome
from init_bench import datasets
from init_bench.diagnosis.pipeline import diagnose

NETWORKS, SAMPLES, WIDTH = 60, 128, 32
TABLE = RESULTS / "recent_networks.csv"
"""Outcomes of training are kept: run it again to go on, delete the file to begin anew."""


class Attention(nn.Module):
    """Attend from each of 7 stripes of an image to all, then a two-layer network."""

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) if norm else nn.Identity() for _ in "ab")
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norms[0](x)).chunk(3, -1)
        x = x + self.out(nn.functional.scaled_dot_product_attention(q, k, v))
        return x + self.down(nn.functional.gelu(self.up(self.norms[1](x))))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Classify an image whose stripes of four rows are tokens."""

    def __init__(self, depth: int, *, norm: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(112, WIDTH), nn.Linear(WIDTH, 10)
        self.blocks = nn.Sequential(*(Attention(norm=norm) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.reshape(-1, 7, 112))
        return self.head(self.blocks(tokens).mean(1))  # type: ignore[no-any-return]


class Gated(nn.Module):
    """Multiply a linear layer by the silu of another."""

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(fan_in, WIDTH), nn.Linear(fan_in, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(self.gate(x)) * self.up(x)  # type: ignore[no-any-return]


class Equalized(nn.Module):
    """Divide the weight by √fan_in when it is used."""

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, fan_in))
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * math.sqrt(2 / self.weight.shape[1])
        return nn.functional.relu(nn.functional.linear(x, weight, self.bias))


class Adapter(nn.Module):
    """Add a product of two narrow layers to a layer that a buffer holds; the second starts at 0."""

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.base: Tensor
        self.register_buffer("base", torch.randn(WIDTH, fan_in) * math.sqrt(2 / fan_in))
        self.down, self.up = nn.Linear(fan_in, 8, bias=False), nn.Linear(8, WIDTH, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        adapted = nn.functional.linear(x, self.base) + self.up(self.down(x))
        return nn.functional.relu(adapted)


def _stack(layer: Callable[[int], nn.Module], depth: int) -> nn.Module:
    layers = [layer(784 if i == 0 else WIDTH) for i in range(depth)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


KINDS: dict[str, Callable[[int], nn.Module]] = {
    "transformer": partial(Transformer, norm=True),
    "transformer without norm": partial(Transformer, norm=False),
    "gated": partial(_stack, Gated),
    "equalized": partial(_stack, Equalized),
    "adapter": partial(_stack, Adapter),
}


def drawn(number: int) -> tuple[dict[str, Any], nn.Module]:
    """Return what decides a network, and the network: its trained matrices times one scale."""
    dice = random.Random(f"recent {number}")
    kind = list(KINDS)[number % len(KINDS)]
    depth, scale = (
        dice.randint(2, 4),
        round(math.exp(dice.uniform(math.log(0.02), math.log(20))), 3),
    )
    with torch.random.fork_rng():
        torch.manual_seed(number)
        model = KINDS[kind](depth)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return {"number": number, "kind": kind, "depth": depth, "scale": scale}, model


def net_of(about: dict[str, Any]) -> Net:
    """Return a network's description as the other benchmarks keep it; its number draws batches."""
    described = {name: about[name] for name in ("number", "kind", "depth", "scale")}
    return Net(**described, activation="", init="", bias_std=0.0, width=WIDTH)


def verdict(number: int) -> dict[str, object]:
    """Return what diagnose says of one network."""
    about, model = drawn(number)
    data = datasets.load("mnist")
    found = diagnose(model, data.inputs[:SAMPLES], data.targets[:SAMPLES])
    findings = found.verdicts[found.verdicts["severity"].isin(["bad", "watch"])]
    said = "bad" if not found.healthy else "watch" if len(findings) else "healthy"
    return {**about, "said": said, "verdicts": ", ".join(findings["verdict"].unique())}


def training(number: int) -> dict[str, object]:
    """Return whether one network trains quickly, and its outcome in the budget that it needs."""
    net, data = net_of(drawn(number)[0]), datasets.load("mnist")
    quick, patient = (
        partial(outcome, lambda: drawn(number)[1], data, net, one) for one in (QUICK, PATIENT)
    )
    after = quick()
    quickly = after.trains
    return {"quickly": quickly, **vars(after if quickly else patient())}


def known_trainings() -> dict[int, dict[Hashable, Any]]:
    """Return by number the outcomes that are kept: rules change verdicts, not how it trains."""
    if not TABLE.exists():
        return {}
    kept = pd.read_csv(TABLE).set_index("number")[["quickly", "trains", "best_loss", "step"]]
    return {int(str(number)): dict(row) for number, row in kept.to_dict("index").items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=NETWORKS)
    parser.add_argument("--minutes", type=float, default=15, help="no network begins after these")
    given = parser.parse_args()
    torch.set_num_threads(1)
    until, known, rows = time.monotonic() + 60 * given.minutes, known_trainings(), []
    for number in range(given.networks):
        if time.monotonic() > until:
            break
        rows.append(verdict(number) | (known.get(number) or training(number)))
    table = pd.DataFrame(rows)
    print(table.to_string())
    print(table.groupby(["kind", "said"])["trains"].agg(["size", "mean"]).to_string())
    print(table.groupby("said")["trains"].agg(["size", "mean"]).to_string())
    print(save(table, TABLE.stem))


if __name__ == "__main__":
    main()
