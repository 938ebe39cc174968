"""GradInit: scales of the parameters are learned so that the first step lowers the loss most."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from init_bench.errors import check_finite
from init_bench.init.loss_inits.scale_search import Candidate, descend, keep_best, tuned
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.objective import differentiating
from init_bench.init.whole_model.parameters import NamedParameter

QUANTITY = "loss after a step"


SMALLEST = 0.01
"""No scale of a weight falls below this, so that no layer is switched off."""


def gradinit_(
    network: Network,
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
        norm itself is lowered. Adam of rate ``scale_lr`` on m, m >= 0.01, of biases m >= 0;
        the slope of the loss takes g for a constant.

    Shapes:
        network: any whose loss can be differentiated twice; only parameters of requires_grad are
        scaled.

    Raises:
        InitBenchError: the loss or the batch does not fit, the loss is not finite at first, or no
            parameter can be tuned.

    Source:
        Zhu et al., GradInit: Learning to Initialize Neural Networks for Stable and Efficient
        Training, 2021, eq. 1 and algorithm 1, for SGD, with g a constant as in the authors'
        ``gradinit_utils.py`` (there the two losses are of two batches, here of one).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> draws = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(32, 8, generator=draws), torch.randint(3, (32,), generator=draws)
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        >>> loss = nn.functional.cross_entropy
        >>> report = initialize(model, "gradinit(steps=5)", batch=(x, y), loss_fn=loss)
        >>> "loss after a step" in report.rows[0].note
        True
    """
    steps = int(check_finite(steps, "steps", minimum=1))
    network.start(start)
    parameters = tuned(network)
    search = _Search(
        network,
        parameters,
        lr=check_finite(lr, "lr", minimum=0),
        gamma=check_finite(gamma, "gamma", minimum=0),
        scale_lr=check_finite(scale_lr, "scale_lr", minimum=0),
    )
    with network.preserved_state(), differentiating("gradinit", "twice"):
        candidates = descend(steps, QUANTITY, search.evaluate, search.move)
    keep_best(network, parameters, candidates, QUANTITY)


class _Search:
    """Adam on the factors: on the gradient's norm while that is too long, else on the loss."""

    def __init__(
        self,
        network: Network,
        parameters: list[NamedParameter],
        *,
        lr: float,
        gamma: float,
        scale_lr: float,
    ) -> None:
        self.network, self.lr, self.gamma = network, lr, gamma
        self.begin = {parameter.name: parameter.values.clone() for parameter in parameters}
        device = next(iter(self.begin.values())).device
        self.factors = torch.ones(len(parameters), device=device, requires_grad=True)
        self.least = [0.0 if parameter.role == "bias" else SMALLEST for parameter in parameters]
        self.too_long = False
        # Each objective has moments of its own: one's slopes say nothing of the other's.
        self.adams = {goal: torch.optim.Adam([self.factors], lr=scale_lr) for goal in (False, True)}

    def evaluate(self) -> tuple[Candidate, Tensor]:
        """Return the loss after one step, those within ``gamma`` first, and what to lower next."""
        values = list(self.begin.values())
        scaled = [factor * value for factor, value in zip(self.factors, values, strict=True)]
        loss = self.network.objective(self._model(scaled))
        gradients = torch.autograd.grad(loss, scaled, create_graph=True, materialize_grads=True)
        norm = torch.stack([(g * g).sum() for g in gradients]).sum().sqrt()
        stepped = [v - self.lr * g.detach() for v, g in zip(scaled, gradients, strict=True)]
        after = self.network.objective(self._model(stepped))
        self.too_long = not norm.item() <= self.gamma
        goal = norm if self.too_long else after
        candidate = Candidate(
            factors=self.factors.detach().cpu().tolist(),
            value=after.item(),
            rank=(float(self.too_long), goal.item()),
        )
        return candidate, goal

    def move(self, goal: Tensor) -> None:
        """Take one step of Adam down the norm or the loss."""
        self.factors.grad = torch.autograd.grad(goal, self.factors)[0]
        self.adams[self.too_long].step()
        for factor, least in zip(self.factors.data, self.least, strict=True):
            factor.clamp_(min=least)

    def _model(self, values: list[Tensor]) -> Callable[..., Any]:
        """Return the network as a function, with ``values`` for its parameters."""
        swapped = dict(zip(self.begin, values, strict=True))
        return lambda *args, **named: functional_call(self.network.model, swapped, args, named)
