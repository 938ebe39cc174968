"""Recheck Zhang et al. 2019: one update of a residual network changes its output as much at any
depth, if it starts from Fixup.

Read of the paper:
    the abstract, and a summary of its three rules. The paper trains convolutional networks and
    transformers; here residual MLPs, and the rules' scalar factors and biases are left out.

Setting:
    Residual MLPs of width 32, two layers a block, on MNIST, SGD at rate 0.1, batch 64, 20 steps.
    "Learns" means a loss of at most 2.2, below chance (2.303): a limit of ours, as 20 steps cannot
    bring it far.

Not rechecked:
    10,000 layers, convolutions, and that the results match normalized networks.
"""

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from init_bench import datasets
from init_bench.figures import Panel
from init_bench.hooks.random_streams import stream
from init_bench.init import he_normal_
from init_bench.reproduction.claim_verdicts import Claim
from init_bench.reproduction.papers.experiment import Experiment, Picture, Tables, tables
from init_bench.reproduction.papers.quantities import last_over_first, ratio, value_of
from init_bench.training.minibatch_indices import sample_indices

DEPTHS = (10, 30, 100, 300, 1000)


CHANGE, LOSS = "change", "loss"


FIXUP, HE = "fixup", "he_normal"


WATCHED = (1, 3, 10)
"""Updates whose change of the output is measured."""


RATE = 0.1


class Block(nn.Module):
    """A residual block of two layers: x + W₂ φ(W₁ x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = x + self.branch(x)
        return out


def measure(
    seeds: Sequence[int],
    *,
    width: int = 32,
    steps: int = 20,
    batch_size: int = 64,
    depths: Sequence[int] = DEPTHS,
) -> Tables:
    """Return how far updates move the output, and the loss they lead to, by number of blocks."""
    measured = [
        row
        for start in (FIXUP, HE)
        for depth in depths
        for seed in seeds
        for row in _rows(start, depth, seed, (width, steps, batch_size))
    ]
    return tables(measured)


def model_at_start(start: str, depth: int, sizes: tuple[int, int, int], seed: int) -> nn.Module:
    """Return a residual MLP of ``depth`` blocks, ``sizes`` its inputs, width and outputs.

    Fixup's rules are written out: to trace a graph of 1000 blocks takes long.
    """
    features, width, classes = sizes
    generator = stream(seed, f"fixup2019/{depth}")
    blocks = [Block(width) for _ in range(depth)]
    model = nn.Sequential(nn.Linear(features, width), *blocks, nn.Linear(width, classes))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            nn.init.zeros_(parameter)
            continue
        he_normal_(parameter, generator=generator)
        if start == FIXUP and name.endswith("branch.0.weight"):
            parameter.data.mul_(depth**-0.5)
        last = name.endswith("branch.2.weight") or name == f"{depth + 1}.weight"
        if start == FIXUP and last:
            nn.init.zeros_(parameter)
    return model


def _rows(
    start: str, depth: int, seed: int, sizes: tuple[int, int, int]
) -> Iterator[tuple[object, ...]]:
    width, steps, batch_size = sizes
    data = datasets.load("mnist")
    model = model_at_start(start, depth, (data.features, width, data.classes), seed)
    indices = sample_indices(len(data.targets), seed, batch_size)
    losses = []
    for step, chosen in zip(range(1, steps + 1), indices, strict=False):
        x, y = data.inputs[chosen], data.targets[chosen]
        loss = nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        if step in WATCHED and (start == FIXUP or step == 1):
            yield CHANGE, f"{start}, update {step}", depth, seed, response(model, x, y)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.sub_(RATE * gradient)
    final = sum(losses[-10:]) / len(losses[-10:])
    yield LOSS, start, depth, seed, final if math.isfinite(final) else math.nan


def response(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the RMS change of the output by a step along the gradient, per unit of its rate.

    It is the output's derivative along the gradient, in float64: a finite step would leave the
    range in which the network is linear, which for He's weights is smaller than any float.
    """
    exact = copy.deepcopy(model).double()
    parameters, output = list(exact.parameters()), exact(x.double())
    loss = nn.functional.cross_entropy(output, y)
    along = torch.autograd.grad(loss, parameters, retain_graph=True)
    # The product of Jacobian and gradient, as the derivative of what is linear in any weights.
    weights = torch.zeros_like(output, requires_grad=True)
    backward = torch.autograd.grad(output, parameters, weights, create_graph=True)
    together = torch.stack([(a * b).sum() for a, b in zip(backward, along, strict=True)]).sum()
    (change,) = torch.autograd.grad(together, weights)
    return float(change.square().mean().sqrt())


_CHANGE = "RMS change of the output along one update, per unit of the rate"


PICTURES = {
    "fixup": Picture(
        (
            Panel(
                CHANGE,
                "residual blocks",
                "RMS change of the output / rate",
                title="One update",
                log_x=True,
                log_y=True,
            ),
            Panel(
                LOSS,
                "residual blocks",
                "loss after 20 steps",
                log_x=True,
                low_y=0.0,
                high_y=2.6,
            ),
        ),
        "Left: how far one update moves the output on its own minibatch, to first order. "
        "Right: mean loss of the last 10 of 20 steps. He's start overflows within the first steps.",
        claims=(
            *(
                Claim(
                    f"update-{number}-level",
                    "one update changes the output as much at any depth, from Fixup",
                    f"{_CHANGE}: update {number}, 1000 blocks over 10",
                    last_over_first(CHANGE, f"{FIXUP}, update {number}"),
                    low=0.5,
                    high=2.0,
                    of_ratios=True,
                    note="the first update moves the last layer alone, as Fixup sets it to 0"
                    if number == 1
                    else "",
                )
                for number in WATCHED
            ),
            Claim(
                "he-explodes",
                "from a standard start gradients explode with depth",
                f"{_CHANGE}: update 1, he_normal, 100 blocks over 10",
                ratio(*(value_of(CHANGE, f"{HE}, update 1", blocks) for blocks in (100, 10))),
                low=10.0,
                of_ratios=True,
            ),
            Claim(
                "fixup-trains",
                "Fixup trains very deep networks as stably: 1000 blocks (2002 layers)",
                "loss of the last 10 of 20 steps, 1000 blocks over 10",
                last_over_first(LOSS, FIXUP),
                high=1.25,
                of_ratios=True,
            ),
            Claim(
                "fixup-learns",
                "and they learn",
                "loss of the last 10 of 20 steps, 1000 blocks",
                value_of(LOSS, FIXUP),
                high=2.2,
            ),
        ),
    )
}


EXPERIMENT = Experiment(
    measure, PICTURES, seeds=3, quick={"width": 8, "steps": 10, "depths": (3, 6)}
)
