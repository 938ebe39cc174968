"""Small random networks and whether they train: the ground on which verdicts are calibrated.

``trains`` means: within 1000 SGD steps on MNIST (batch 128) the mean loss of 20 steps fell below
1.5, at the best of nine learning rates. Three hundred steps at seven rates, which come first, are
kept too: most networks that train do by then. Outcomes are kept one by one; evidence is taken anew.
"""

import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from init_bench import datasets
from init_bench.activations import ACTIVATIONS
from init_bench.examining import Evidence, examine
from init_bench.init import initialize
from init_bench.randomness import stream
from init_bench.recording import capture

CACHE = Path(tempfile.gettempdir()) / "init_bench_verdicts"
BATCH, WINDOW, TRAINED_LOSS = 128, 20, 1.5
SAMPLES, SUBSET = 512, 20_000
NEAR_ZERO = 0.05
"""fastai's ActivationStats counts |z| below this."""
EXPLAINED = 0.99
"""delve's saturation: share of directions that hold this share of the variance."""

PLAIN = "plain"
MISLEADING = ("residual", "batch_norm", "layer_norm", "conv", "conv_norm", "conv_residual")
ACTIVATION_NAMES = ("relu", "tanh", "sigmoid", "gelu", "selu", "elu", "silu", "softplus")


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
    """The least mean loss of ``WINDOW`` steps at the best rate, and the steps it took."""

    best_loss: float
    step: int

    @property
    def trains(self) -> bool:
        return self.best_loss < TRAINED_LOSS


@dataclass(frozen=True, kw_only=True)
class Net:
    """A random network: all that decides its weights."""

    number: int
    kind: str
    activation: str
    init: str
    scale: float
    bias_std: float
    depth: int
    width: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number:03d}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A network, the evidence at step 0, and what came of it: within the quick budget, and within
    the patient one, which is asked only of what the quick one did not train."""

    net: Net
    evidence: Evidence
    near_zero: list[float]
    delve: list[float]
    quick: Outcome
    patient: Outcome

    @property
    def trains(self) -> bool:
        return self.patient.trains


def training_nets() -> list[Net]:
    """Return the networks that measures, thresholds and the budgets were chosen on."""
    plain = [*range(0, 320, 2), *range(319, 279, -2), *range(1000, 1120)]
    return _nets(plain, range(320, 440))


def held_out_nets() -> list[Net]:
    """Return the networks that the verdicts are tested on, which decided nothing."""
    return _nets(range(2000, 2120), range(2120, 2240))


def _nets(plain: Iterable[int], misleading: Iterable[int]) -> list[Net]:
    return [
        *(_drawn(number, PLAIN) for number in plain),
        *(_drawn(number, MISLEADING[i % len(MISLEADING)]) for i, number in enumerate(misleading)),
    ]


def trials(chosen: list[Net], stop_at: float = math.inf) -> Iterator[Trial]:
    """Yield each network's trial; what was not trained before is trained until ``stop_at``."""
    data = datasets.load("mnist")
    for net in chosen:
        quick = _outcome(net, QUICK, data, stop_at)
        patient = quick if quick and quick.trains else _outcome(net, PATIENT, data, stop_at)
        if quick and patient:
            yield _looked_at(net, data, quick, patient)


def _outcome(net: Net, budget: Budget, data: datasets.Dataset, stop_at: float) -> Outcome | None:
    """Return what comes of a network, as kept on disk; ``None`` where time is up."""
    CACHE.mkdir(exist_ok=True)
    path = CACHE / f"{net.name}-{budget.steps}.json"
    asked = {**asdict(net), **asdict(budget), "rates": list(budget.rates)}
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("asked") == asked:
        return Outcome(**kept["outcome"])
    if time.monotonic() > stop_at:
        return None
    found = outcome(lambda: build(net), data, net, budget)
    path.write_text(json.dumps({"asked": asked, "outcome": asdict(found)}))
    return found


def build(net: Net) -> nn.Module:
    """Return the network with its initial weights."""
    model = BODIES[net.kind](net)
    initialize(model, net.init, seed=net.number)
    noise = stream(net.number, "bias")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.mul_(net.scale)
                if module.bias is not None and net.bias_std:
                    module.bias.normal_(0, net.bias_std, generator=noise)
    return model


def _drawn(number: int, kind: str) -> Net:
    dice = random.Random(number)
    low, high = (0.3, 4.0) if kind == PLAIN else (0.05, 12.0)  # those train over a wider range
    deepest = 30 if "conv" in kind else 50
    depth = round(math.exp(dice.uniform(math.log(3), math.log(deepest))))
    init = dice.choice(
        ("lecun_normal",) * 4
        + ("torch.orthogonal", "normal(std=0.01)", "torch.default", "he_normal", "xavier_uniform")
    )
    tuned = kind != PLAIN or init in ("lecun_normal", "torch.orthogonal", "normal(std=0.01)")
    return Net(
        number=number,
        kind=kind,
        activation=dice.choice(ACTIVATION_NAMES),
        init=init,
        scale=round(math.exp(dice.uniform(math.log(low), math.log(high))), 3) if tuned else 1.0,
        bias_std=round(dice.uniform(0.1, 1), 2) if dice.random() < 0.15 else 0.0,
        depth=depth,
        width=dice.choice((50, 100, 200)) if kind in (PLAIN, *MISLEADING[:3]) else 8,
    )


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.branch(x)
        return total


def _plain(net: Net, norm: Callable[[int], nn.Module] | None = None) -> nn.Module:
    sizes = [784, *[net.width] * (net.depth - 1)]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), *([norm(fan_out)] if norm else []), _phi(net)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 10))


def _residual(net: Net) -> nn.Module:
    blocks = [
        Residual(nn.Linear(net.width, net.width), _phi(net), nn.Linear(net.width, net.width))
        for _ in range(max(1, (net.depth - 2) // 2))
    ]
    return nn.Sequential(
        nn.Linear(784, net.width), _phi(net), *blocks, _phi(net), nn.Linear(net.width, 10)
    )


def _conv(net: Net, norm: bool = False, residual: bool = False) -> nn.Module:
    def unit(fan_in: int, stride: int = 1) -> list[nn.Module]:
        layer = nn.Conv2d(fan_in, net.width, 3, stride=stride, padding=1)
        return [layer, *([nn.BatchNorm2d(net.width)] if norm else []), _phi(net)]

    def block() -> list[nn.Module]:
        if not residual:
            return unit(net.width)
        return [Residual(*unit(net.width), *unit(net.width)[:-1]), _phi(net)]

    blocks = max(1, (net.depth - 3) // (2 if residual else 1))
    body = [layer for _ in range(blocks) for layer in block()]
    head = (
        [nn.Flatten(), nn.Linear(net.width * 49, 10)]
        if net.number % 2
        else [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(net.width, 10)]
    )
    stem = [nn.Unflatten(1, (1, 28, 28)), *unit(1, 2), *unit(net.width, 2)]
    return nn.Sequential(*stem, *body, *head)


def _phi(net: Net) -> nn.Module:
    return ACTIVATIONS[net.activation].module()


BODIES: dict[str, Callable[[Net], nn.Module]] = {
    PLAIN: _plain,
    "residual": _residual,
    "batch_norm": lambda net: _plain(net, nn.BatchNorm1d),
    "layer_norm": lambda net: _plain(net, nn.LayerNorm),
    "conv": _conv,
    "conv_norm": lambda net: _conv(net, norm=True),
    "conv_residual": lambda net: _conv(net, norm=net.number % 3 > 0, residual=True),
}


def _looked_at(net: Net, data: datasets.Dataset, quick: Outcome, patient: Outcome) -> Trial:
    x, y = data.inputs[:SAMPLES], data.targets[:SAMPLES]
    evidence = examine(build(net), x, y, nn.functional.cross_entropy)
    near_zero, delve = _peers(build(net), x)
    return Trial(
        net=net, evidence=evidence, near_zero=near_zero, delve=delve, quick=quick, patient=patient
    )


def outcome(
    made: Callable[[], nn.Module], data: datasets.Dataset, net: Net, budget: Budget
) -> Outcome:
    """Train a network within the budget, batches drawn for ``net``.

    A rate below one at which the network stood still is passed by: it would stand still there too.
    """
    best, still_at = Outcome(best_loss=math.inf, step=budget.steps), 0.0
    for rate in budget.rates:
        if rate < still_at:
            continue
        model = made()
        losses = _losses(model, data, net, rate, budget.steps)
        windows = (losses[i : i + WINDOW] for i in range(len(losses) - WINDOW + 1))
        least = min(map(_mean, windows), default=math.inf)
        if least < best.best_loss:
            best = Outcome(best_loss=least, step=len(losses))
        if best.trains:
            break
        if _stood_still(losses, model, made()):
            still_at = max(still_at, rate)
    return best


def _losses(
    model: nn.Module, data: datasets.Dataset, net: Net, rate: float, steps: int
) -> list[float]:
    """Train until it trains, the loss is not finite (left out) or the steps are done."""
    draws = stream(net.number, "batches")
    parameters, losses = list(model.parameters()), []
    for _ in range(steps):
        chosen = torch.randint(SUBSET, (BATCH,), generator=draws)
        loss = nn.functional.cross_entropy(model(data.inputs[chosen]), data.targets[chosen])
        value = loss.item()
        if not math.isfinite(value):
            break
        losses.append(value)
        if len(losses) >= WINDOW and _mean(losses) < TRAINED_LOSS:
            break
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_([*parameters], list(gradients), alpha=-rate)
    return losses


def _mean(losses: list[float]) -> float:
    return sum(losses[-WINDOW:]) / WINDOW


def _stood_still(losses: list[float], model: nn.Module, begun: nn.Module) -> bool:
    """Return whether nothing happened: the loss stayed about that of chance, and each weight in
    front of the last kept its place to a hundredth of its size."""
    if len(losses) < WINDOW or not 2.2 < min(losses) <= max(losses) < max(losses[0], 2.303) + 0.2:
        return False
    pairs = zip(model.parameters(), begun.parameters(), strict=True)
    matrices = [(after, before) for after, before in pairs if before.dim() > 1]
    return all(
        bool((after - before).norm() < 0.01 * before.norm()) for after, before in matrices[:-1]
    )


def _peers(model: nn.Module, x: Tensor) -> tuple[list[float], list[float]]:
    """Return by activation layer fastai's near-zero share and delve's saturation."""
    with torch.no_grad(), capture(model, keep=True) as record:
        model(x)
    frame = record.table()
    layers = frame[frame["kind"] == "activation"]["layer"]
    values = [record[name].flatten(1).double() for name in layers if "Flatten" not in name]
    near_zero = [(z.abs() < NEAR_ZERO).double().mean().item() for z in values]
    return near_zero, [_saturation(z[:, :512]) for z in values]


def _saturation(z: Tensor) -> float:
    """Return the share of directions that explain 99 % of the variance over samples."""
    if not z.isfinite().all():
        return math.nan
    variance = torch.linalg.eigvalsh(torch.cov(z.T)).clamp_min(0).flip(0)
    share = variance.cumsum(0) / variance.sum()
    return (1 + int((share < EXPLAINED).sum())) / len(variance) if variance.sum() else math.nan


def described(trial: Trial) -> dict[str, object]:
    """Return the columns of the CSV that describe the network and what came of it."""
    return {
        **asdict(trial.net),
        "trains": trial.trains,
        "trains_quickly": trial.quick.trains,
        "best_loss": round(trial.patient.best_loss, 4),
        "step": trial.patient.step,
    }
