"""Find out whether a network trains; store it in ``results/outcomes.csv``.

``trains`` means: within 1000 SGD steps on MNIST (batch 128) the mean loss of 20 steps fell below
1.5, at the best of nine learning rates. Three hundred steps at seven rates are kept too: most
networks that train do by then.
"""

import csv
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache

import torch
from torch import nn

from benchmarks.interleaved_timing import RESULTS
from benchmarks.networks import Net
from init_bench import datasets
from init_bench.hooks.random_streams import stream

OUTCOMES = RESULTS / "outcomes.csv"
COLUMNS = ("name", "steps", "key", "trains", "best_loss", "step")
BATCH, WINDOW, TRAINED_LOSS = 128, 20, 1.5
SUBSET = 20_000


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a network may train, at rates in the order in which they are tried: the first at
    which it trains ends the search."""

    steps: int
    rates: tuple[float, ...]


QUICK = Budget(steps=300, rates=(0.03, 0.3, 0.1, 1.0, 0.01, 0.003, 3.0))
PATIENT = Budget(steps=1000, rates=(0.3, 0.1, 0.03, 1.0, 3.0, 0.01, 0.003, 0.001, 0.0003))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The least mean loss of ``WINDOW`` steps at the best rate, and the steps it took; ``nan`` and
    0 where no more than whether it trains was written down."""

    trains: bool
    best_loss: float
    step: int


def stored_outcome(net: Net, budget: Budget, made: Callable[[], nn.Module]) -> Outcome:
    """Return the outcome of a network; train it and store the outcome if there is none."""
    known, key = _known(), _key(net, budget)
    if key not in known:
        known[key] = outcome(made, datasets.load("mnist"), net, budget)
        row = {"name": net.name, "steps": budget.steps, "key": key, **asdict(known[key])}
        if not OUTCOMES.exists():
            OUTCOMES.write_text(",".join(COLUMNS) + "\n")
        with OUTCOMES.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
    return known[key]


@cache
def _known() -> dict[str, Outcome]:
    if not OUTCOMES.exists():
        return {}
    with OUTCOMES.open(newline="") as file:
        return {
            row["key"]: Outcome(
                trains=row["trains"] == "True",
                best_loss=float(row["best_loss"]),
                step=int(row["step"]),
            )
            for row in csv.DictReader(file)
        }


def _key(net: Net, budget: Budget) -> str:
    """Return a hash of network and budget; who changes how they are carried out, begins a file."""
    asked = json.dumps([asdict(net), asdict(budget)])
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def outcome(
    made: Callable[[], nn.Module], data: datasets.Dataset, net: Net, budget: Budget
) -> Outcome:
    """Train a network within the budget, batches drawn for ``net``.

    A rate below one at which the network stood still is passed by: it would stand still there too.
    """
    best = Outcome(trains=False, best_loss=math.inf, step=budget.steps)
    still_at = 0.0
    for rate in budget.rates:
        if rate < still_at:
            continue
        model = made()
        losses = train(model, data, net, rate, budget.steps)
        windows = (losses[i : i + WINDOW] for i in range(len(losses) - WINDOW + 1))
        least = min(map(_latest_mean, windows), default=math.inf)
        if least < best.best_loss:
            best = Outcome(trains=least < TRAINED_LOSS, best_loss=least, step=len(losses))
        if best.trains:
            break
        if _stood_still(losses, model, made()):
            still_at = max(still_at, rate)
    return best


def train(
    model: nn.Module,
    data: datasets.Dataset,
    net: Net,
    rate: float,
    steps: int,
    warm_up: int = 0,
) -> list[float]:
    """Train a network for ``steps``, or until it ``has_trained``; return the loss of each step.

    A loss that is not finite ends the training too, and is left out. Over the first ``warm_up``
    steps the rate grows in proportion to the step.
    """
    draws = stream(net.number, "batches")
    parameters, losses = list(model.parameters()), []
    for step in range(steps):
        chosen = torch.randint(SUBSET, (BATCH,), generator=draws)
        loss = nn.functional.cross_entropy(model(data.inputs[chosen]), data.targets[chosen])
        value = loss.item()
        if not math.isfinite(value):
            break
        losses.append(value)
        if has_trained(losses):
            break
        gradients = torch.autograd.grad(loss, parameters)
        reached = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
        with torch.no_grad():
            torch._foreach_add_([*parameters], list(gradients), alpha=-rate * reached)
    return losses


def has_trained(losses: list[float]) -> bool:
    """Return whether the loss of the latest steps is low enough."""
    return len(losses) >= WINDOW and _latest_mean(losses) < TRAINED_LOSS


def _latest_mean(losses: list[float]) -> float:
    return sum(losses[-WINDOW:]) / WINDOW


def _stood_still(losses: list[float], model: nn.Module, begun: nn.Module) -> bool:
    """Return whether training did nothing: the loss stayed near chance, and each weight matrix
    before the last changed by less than a hundredth of its norm."""
    if len(losses) < WINDOW or not 2.2 < min(losses) <= max(losses) < max(losses[0], 2.303) + 0.2:
        return False
    pairs = zip(model.parameters(), begun.parameters(), strict=True)
    matrices = [(after, before) for after, before in pairs if before.dim() > 1]
    return all(
        bool((after - before).norm() < 0.01 * before.norm()) for after, before in matrices[:-1]
    )
