"""Recheck Schoenholz et al. 2017: networks train up to a depth of about 6 ξ_c.

Read of the paper:
    the abstract; 6 ξ_c is recalled from secondary accounts. The paper trains 300 wide for up to
    30,000 steps; here 40 wide for 80.

Setting:
    tanh, sigma_b2 = 0.05. Signals: 300 units, 80 inputs. Training: MNIST, 40 units, SGD, batch 64,
    rates 0.02 and 0.1.
    "Train" means a loss of at most 1.5 after 80 steps, about two thirds of chance (2.303), and "do
    not" one of at least 2.2: limits of ours for runs this short.

Not rechecked:
    dropout; gradients; longer training.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from init_bench import datasets
from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import value_of
from init_bench.theory import MeanField, depth_scales
from init_bench.training.minibatch_indices import sample_indices

BIAS = 0.05


TRAINED_SEEDS = 3
"""Seeds of the trained networks, at most; signals are cheap and take all."""


SIGNALS = (1.0, 1.3, 1.5, 2.5, 4.0)
"""Values of sigma_w2 whose xi_c is measured on signals."""


TRAINED = (1.0, 1.3, 4.0)
"""Values of sigma_w2 with which networks are trained; the critical point is at 1.76."""


MULTIPLES = (0.4, 1.0, 2.0)
"""Depths of the trained networks, as multiples of 6 ξ_c."""


XI, LOSS = "ξ_c", "loss"


def measure(
    seeds: Sequence[int],
    *,
    width: int = 300,
    trained_width: int = 40,
    steps: int = 80,
    rates: Sequence[float] = (0.02, 0.1),
    points: int = 33,
) -> Tables:
    """Return ξ_c measured on wide random networks, and losses by depth over 6 ξ_c."""
    nets = {w2: MeanField(activation="tanh", sigma_w2=w2, sigma_b2=BIAS) for w2 in SIGNALS}
    measured: list[tuple[object, ...]] = []
    for w2, net in nets.items():
        measured += [(XI, "tanh", w2, seed, _measured_xi(net, width, seed)) for seed in seeds]
    grid = np.linspace(0.9, 4.1, points)
    curve = depth_scales("tanh", list(grid), sigma_b2=BIAS)
    expected = [(XI, "tanh", w2, xi) for w2, xi in zip(grid, curve["xi_c"], strict=True)]
    expected += [(XI, "tanh", w2, net.xi_c) for w2, net in nets.items()]
    for w2 in TRAINED:
        for multiple in MULTIPLES:
            depth = max(2, round(6 * nets[w2].xi_c * multiple))
            losses = _losses(w2, depth, trained_width, steps, rates, seeds[:TRAINED_SEEDS])
            for seed, loss in zip(seeds, losses, strict=False):
                measured.append((LOSS, _series(w2), multiple, seed, loss))
    return tables(measured, sorted(set(expected)))


def _series(sigma_w2: float) -> str:
    return f"sigma_w2 = {sigma_w2:g}"


def _measured_xi(net: MeanField, width: int, seed: int) -> float:
    """Return the number of layers in which correlations approach c* e-fold, fitted to signals.

    Two groups of 40 inputs start with another correlation each and pass one network. The difference
    of the two groups' mean correlations falls as exp(-l/ξ_c), and what fluctuates for both cancels.
    """
    generator = stream(seed, f"schoenholz2017/{net.sigma_w2}")
    near = (max(0.0, net.c_star - 0.2), net.c_star + 0.3 * (1 - net.c_star))
    chaotic = net.c_star < 1 - 1e-6
    pair, least = (near, 0.02) if chaotic else ((0.8, 0.95), 1e-3)
    a = torch.cat([_correlated(40, width, c, net.q_star, generator) for c in pair])
    gaps: list[float] = []
    while len(gaps) < min(60, 6 * net.xi_c) and (len(gaps) < 4 or gaps[-1] > least):
        weights = torch.randn(width, width, generator=generator, dtype=torch.float64)
        bias = torch.randn(width, generator=generator, dtype=torch.float64)
        a = math.sqrt(net.sigma_w2 / width) * a.tanh() @ weights.T + math.sqrt(net.sigma_b2) * bias
        low, high = map(_mean_correlation, a.chunk(2))
        gaps.append(high - low)
    found = np.array(gaps)
    layers = np.flatnonzero(found > 0)
    return -1 / float(np.polyfit(layers, np.log(found[layers]), 1)[0])


def _correlated(
    number: int, width: int, correlation: float, q: float, generator: torch.Generator
) -> Tensor:
    """Return inputs of length q, each pair with the same correlation."""
    drawn = torch.randn(number + 1, width, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(drawn.T)[0].T * math.sqrt(width)
    shared, own = math.sqrt(correlation), math.sqrt(1 - correlation)
    inputs: Tensor = math.sqrt(q) * (shared * basis[:1] + own * basis[1:])
    return inputs


def _mean_correlation(a: Tensor) -> float:
    """Return the mean over pairs of a·b / (‖a‖ ‖b‖)."""
    unit = a / a.norm(dim=1, keepdim=True)
    together = float(unit.sum(dim=0).square().sum())
    return (together - len(a)) / (len(a) * (len(a) - 1))


def _losses(
    sigma_w2: float,
    depth: int,
    width: int,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
) -> list[float]:
    """Return, for each seed, the least training loss over rates, mean of the last 20 steps.

    All seeds and rates are trained at once, as one stack of networks.
    """
    data = datasets.load("mnist")
    scale = 1 / float(data.inputs[:2000].square().mean().sqrt())
    sizes = [data.features, *[width] * (depth - 1), data.classes]
    parameters = [
        _stacked(sigma_w2, n_in, n_out, at, seeds, len(rates))
        for at, (n_in, n_out) in enumerate(pairwise(sizes))
    ]
    flat = [tensor for pair in parameters for tensor in pair]
    rate = torch.tensor(rates).repeat(len(seeds))[:, None, None]
    batches = zip(*(sample_indices(len(data.targets), seed, 64) for seed in seeds), strict=False)
    kept = []
    for step, chosen in zip(range(steps), batches, strict=False):
        x = torch.stack([data.inputs[rows] * scale for rows in chosen])
        y = torch.stack([data.targets[rows] for rows in chosen])
        h = x.repeat_interleave(len(rates), 0)
        for at, (weight, bias) in enumerate(parameters):
            h = torch.baddbmm(bias, h if at == 0 else h.tanh(), weight)
        labels = y.repeat_interleave(len(rates), 0)
        loss = nn.functional.cross_entropy(h.mT, labels, reduction="none").mean(dim=1)
        gradients = torch.autograd.grad(loss.sum(), flat)
        with torch.no_grad():
            for tensor, gradient in zip(flat, gradients, strict=True):
                tensor.sub_(rate * gradient)
        if step >= steps - 20:
            kept.append(loss.detach())
    final = torch.stack(kept).mean(dim=0).view(len(seeds), -1)
    least: list[float] = final.nan_to_num(nan=math.inf).amin(dim=1).tolist()
    return [loss if math.isfinite(loss) else math.nan for loss in least]


def _stacked(
    sigma_w2: float, n_in: int, n_out: int, at: int, seeds: Sequence[int], rates: int
) -> tuple[Tensor, Tensor]:
    """Return weights and biases of layer ``at``: each seed's, once for every rate."""
    weights, biases = [], []
    for seed in seeds:
        generator = stream(seed, f"schoenholz2017/{sigma_w2}/{at}")
        weights.append(math.sqrt(sigma_w2 / n_in) * torch.randn(n_in, n_out, generator=generator))
        biases.append(math.sqrt(BIAS) * torch.randn(1, n_out, generator=generator))
    stacks = (torch.stack(drawn).repeat_interleave(rates, 0) for drawn in (weights, biases))
    weight, bias = (stack.requires_grad_() for stack in stacks)
    return weight, bias


def _trains(sigma_w2: float) -> Iterator[Claim]:
    """Yield the two claims about training at one variance: within 6 ξ_c, and beyond."""
    quantity = "loss of the last 20 of 80 steps at the best of two rates"
    yield Claim(
        f"trains-{sigma_w2:g}",
        f"networks train where signals pass, sigma_w2 = {sigma_w2:g}",
        f"{quantity}, depth 0.4 × 6 ξ_c",
        value_of(LOSS, _series(sigma_w2), MULTIPLES[0]),
        high=1.5,
    )
    yield Claim(
        f"does-not-train-{sigma_w2:g}",
        f"and not beyond about 6 ξ_c, sigma_w2 = {sigma_w2:g}",
        f"{quantity}, depth 2 × 6 ξ_c (chance: 2.303)",
        value_of(LOSS, _series(sigma_w2), MULTIPLES[-1]),
        low=2.2,
    )


PICTURES = {
    "depth": Picture(
        (
            Panel(
                LOSS,
                "depth / (6 ξ_c)",
                "loss at the best rate",
                mark_x=(1.0, "6 ξ_c"),
                mark_y=(math.log(10), "chance"),
            ),
            Panel(XI, "sigma_w2", "ξ_c in layers", log_y=True, mark_x=(1.76, "critical")),
        ),
        "Left: mean loss of the last 20 of 80 steps of tanh networks on MNIST, by depth in "
        "units of 6 ξ_c. Right: the depth scale ξ_c; dashed: mean field, points: fitted to "
        "the signals of networks of 300 units.",
        claims=(
            *(
                Claim(
                    f"xi-{w2:g}",
                    f"correlations approach c* as exp(-l/ξ_c), sigma_w2 = {w2:g}",
                    "ξ_c fitted to a random network's signals, over theory's",
                    value_of(XI, "tanh", w2),
                    frame="ratio",
                    low=0.8,
                    high=1.25,
                )
                for w2 in (1.0, 1.3, 2.5, 4.0)
            ),
            *(claim for w2 in TRAINED for claim in _trains(w2)),
        ),
    )
}


EXPERIMENT = Experiment(
    measure,
    PICTURES,
    seeds=4,
    quick={"width": 40, "trained_width": 8, "steps": 3, "rates": (0.05,), "points": 5},
)
