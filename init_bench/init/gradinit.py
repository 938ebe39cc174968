"""GradInit: scales of the parameters are learnt so that the first step lowers the loss most."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call

from init_bench.errors import InitBenchError, finite

if TYPE_CHECKING:
    from init_bench.init.network import Network

SMALLEST = 0.01
"""No scale falls below this, so that no layer is switched off."""


def gradinit_(
    network: "Network",
    *,
    start: str = "he_normal",
    steps: int = 100,
    lr: float = 0.1,
    scale_lr: float = 0.01,
    gamma: float = 1.0,
) -> None:
    """Learn one factor for each parameter so that the loss after one step of SGD is least.

    The best factors seen are kept, so the loss after that step never ends above where it started
    unless the gradient was longer than ``gamma`` there.

    Formula:
        min over m of L(m θ − lr g), g = ∇L(m θ), subject to ‖g‖ ≤ gamma; while ‖g‖ > gamma the
        norm itself is lowered. Adam of rate ``scale_lr`` on m, m >= 0.01.

    Shapes:
        network: any whose loss can be differentiated twice; only parameters of requires_grad are
        scaled.

    Raises:
        InitBenchError: the loss or the batch does not fit, or the loss is not finite at first.

    Source:
        Zhu et al., GradInit: Learning to Initialize Neural Networks for Stable and Efficient
        Training, 2021, eq. 1 and algorithm 1, for SGD (there the two losses are of two batches,
        here of one).

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> draws = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(32, 8, generator=draws), torch.randint(3, (32,), generator=draws)
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        >>> loss = nn.functional.cross_entropy
        >>> report = initialize(model, "gradinit(steps=5)", batch=(x, y), loss=loss)
        >>> "loss after a step" in report.rows[0].note
        True
    """
    steps = int(finite(steps, "steps", minimum=1))
    network.start(start)
    slots = network.trainable()
    problem = _Problem(
        network=network,
        begin={slot.name: slot.values.clone() for slot in slots},
        lr=finite(lr, "lr", minimum=0),
        gamma=finite(gamma, "gamma", minimum=0),
    )
    with network.looking():
        seen = _descend(problem, steps, finite(scale_lr, "scale_lr", minimum=0))
    best = min(seen, key=lambda state: state.rank)
    for slot, factor in zip(slots, best.factors, strict=True):
        change = f"loss after a step {seen[0].after:.4g} → {best.after:.4g}"
        network.scale(slot, factor, f"times {factor:.4g}: {change}")


@dataclass(frozen=True, kw_only=True)
class _State:
    """One set of factors: gradient norm and loss after a step; allowed ones rank first."""

    factors: list[float]
    norm: float
    after: float
    gamma: float

    @property
    def rank(self) -> tuple[bool, float]:
        too_long = not self.norm <= self.gamma
        return too_long, self.norm if too_long else self.after


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """What is minimised over the factors."""

    network: "Network"
    begin: dict[str, Tensor]
    lr: float
    gamma: float

    def evaluate(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient's norm and the loss after one step, differentiable in ``factors``."""
        values = list(self.begin.values())
        scaled = [factor * value for factor, value in zip(factors, values, strict=True)]
        loss = self.network.objective(self._model(scaled))
        gradients = torch.autograd.grad(loss, scaled, create_graph=True, materialize_grads=True)
        norm = torch.stack([(g * g).sum() for g in gradients]).sum().sqrt()
        stepped = [value - self.lr * g for value, g in zip(scaled, gradients, strict=True)]
        return norm, self.network.objective(self._model(stepped))

    def _model(self, values: list[Tensor]) -> Callable[..., Any]:
        """Return the network as a function, with ``values`` for its parameters."""
        swapped = dict(zip(self.begin, values, strict=True))
        return lambda *args, **named: functional_call(self.network.model, swapped, args, named)


def _descend(problem: _Problem, steps: int, rate: float) -> list[_State]:
    """Return every set of factors tried, the start first."""
    device = next(iter(problem.begin.values())).device
    factors = torch.ones(len(problem.begin), device=device, requires_grad=True)
    adam = torch.optim.Adam([factors], lr=rate)
    seen = []
    for step in range(steps + 1):
        norm, after = problem.evaluate(factors)
        values = (norm.item(), after.item())
        if not all(map(math.isfinite, values)):
            break
        seen.append(
            _State(
                factors=factors.detach().cpu().tolist(),
                norm=values[0],
                after=values[1],
                gamma=problem.gamma,
            )
        )
        if step < steps:
            target = norm if values[0] > problem.gamma else after
            factors.grad = torch.autograd.grad(target, factors)[0]
            adam.step()
            factors.data.clamp_(min=SMALLEST)
    if not seen:
        raise InitBenchError(
            "the loss or its gradient is not finite at the start; choose another start=, or look "
            "at the batch and the loss"
        )
    return seen
