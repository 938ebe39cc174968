"""Fill by MetaInit: tune the weights' norms until one step barely changes the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from init_bench.errors import check_finite
from init_bench.init.loss_inits.scale_search import Candidate, descend, keep_best, tuned
from init_bench.init.whole_model.network_editor import Network
from init_bench.init.whole_model.objective import differentiating
from init_bench.init.whole_model.parameters import NamedParameter

QUANTITY = "gradient quotient"


def metainit_(
    network: Network,
    *,
    start: str = "he_normal",
    steps: int = 100,
    lr: float = 0.1,
    momentum: float = 0.9,
) -> None:
    """Tune the norm of each weight by descent on the gradient quotient of the loss.

    A loss that is nearly linear around the start keeps its gradient over a step. Biases count in
    the quotient but keep their size. The best norms seen are kept, so the quotient never ends
    above where it started.

    Formula:
        GQ = 1/N Σ_i |(g − Hg)_i / (g_i + ε sign(g_i)) − 1|, g and H gradient and Hessian of the
        loss, N the number of parameters, ε = 1e-5. Each norm moves by a step of momentum along
        −sign(∂GQ/∂‖W‖).

    Shapes:
        network: any whose loss can be differentiated three times; only weights of requires_grad
        are tuned.

    Raises:
        InitBenchError: the loss or the batch does not fit, the quotient is not finite at first, or
            no weight can be tuned.

    Source:
        Dauphin & Schoenholz, MetaInit: Initializing learning by learning to initialize, 2019,
        eq. 1 and sec. 3.2.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from init_bench import initialize, models
        >>> draws = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(32, 8, generator=draws), torch.randint(3, (32,), generator=draws)
        >>> model = models.mlp(8, 3, width=16, depth=2, activation="tanh")
        >>> loss = nn.functional.cross_entropy
        >>> report = initialize(model, "metainit(steps=5)", batch=(x, y), loss_fn=loss)
        >>> "gradient quotient" in report.rows[0].note
        True
    """
    lr, momentum = check_finite(lr, "lr", minimum=0), check_finite(momentum, "momentum", minimum=0)
    steps = int(check_finite(steps, "steps", minimum=1))
    network.start(start)
    weights = tuned(network, weights_alone=True)
    norms = _Norms(network, weights, lr, momentum)
    with network.preserved_state(), differentiating("metainit", "three times"):
        candidates = descend(steps, QUANTITY, norms.evaluate, norms.move)
    norms.back()
    keep_best(network, weights, candidates, QUANTITY)


class _Norms:
    """Signed momentum on the norms, relative to where they started."""

    def __init__(
        self, network: Network, tuned: list[NamedParameter], lr: float, momentum: float
    ) -> None:
        self.network, self.tuned, self.lr, self.momentum = network, tuned, lr, momentum
        self.begin = [parameter.values.clone() for parameter in tuned]
        self.norms = [value.norm().item() for value in self.begin]
        self.factors = [1.0] * len(tuned)
        self.speeds = [0.0] * len(tuned)

    def evaluate(self) -> tuple[Candidate, Tensor]:
        """Return the gradient quotient at the norms that the weights have now."""
        loss = self.network.objective()
        parameters = [
            parameter.parameter for parameter in self.network.trainable(with_overrides=True)
        ]
        quotient = gradient_quotient(loss, parameters)
        value = quotient.item()
        return Candidate(factors=list(self.factors), value=value, rank=(value,)), quotient

    def move(self, quotient: Tensor) -> None:
        """Take one step of momentum down the sign of each norm's slope."""
        weights = [p.parameter for p in self.tuned]
        slopes = torch.autograd.grad(quotient, weights, materialize_grads=True)
        for i, (parameter, slope) in enumerate(zip(self.tuned, slopes, strict=True)):
            uphill = (parameter.values * slope).sum().nan_to_num().sign().item()
            self.speeds[i] = self.momentum * self.speeds[i] - self.lr * uphill
            norm = self.norms[i] * self.factors[i] + self.speeds[i]
            if self.norms[i] > 0 and norm > 0:
                self.factors[i] = norm / self.norms[i]
            parameter.write(self.begin[i] * self.factors[i])

    def back(self) -> None:
        """Give the weights the values they started with."""
        for parameter, value in zip(self.tuned, self.begin, strict=True):
            parameter.write(value)


def gradient_quotient(loss: Tensor, parameters: Sequence[Tensor], eps: float = 1e-5) -> Tensor:
    """Return by how much one step changes each entry of the gradient, relative to it, on average.

    Example:
        >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> round(gradient_quotient((w**2).sum() / 4, [w]).item(), 3)  # H = 1/2
        0.5
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    energy = sum(((g * g).sum() / 2 for g in gradients), start=torch.zeros(()).to(loss))
    products = torch.autograd.grad(energy, parameters, create_graph=True, materialize_grads=True)
    total = torch.zeros(()).to(loss)
    for g, product in zip(gradients, products, strict=True):
        shift = eps * (2 * (g >= 0).to(g) - 1)
        total = total + ((g - product) / (g + shift) - 1).abs().sum()
    return total / sum(g.numel() for g in gradients)
