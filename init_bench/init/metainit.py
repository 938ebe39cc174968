"""MetaInit: norms of the weights are tuned until one step barely changes the gradient."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from init_bench.errors import InitBenchError, finite
from init_bench.init.objective import differentiating

if TYPE_CHECKING:
    from init_bench.init.network import Network
    from init_bench.init.slots import Slot


def metainit_(
    network: "Network",
    *,
    start: str = "he_normal",
    steps: int = 100,
    lr: float = 0.1,
    momentum: float = 0.9,
) -> None:
    """Tune the norm of each weight by descent on the gradient quotient of the loss.

    A loss that is nearly linear around the start keeps its gradient over a step. The best norms
    seen are kept, so the quotient never ends above where it started.

    Formula:
        GQ = 1/N Σ_i |(g − Hg)_i / (g_i + ε sign(g_i)) − 1|, g and H gradient and Hessian of the
        loss, N the number of parameters, ε = 1e-5. Each norm moves by a step of momentum along
        −sign(∂GQ/∂‖W‖).

    Shapes:
        network: any whose loss can be differentiated three times; only weights of requires_grad
        are tuned.

    Raises:
        InitBenchError: the loss or the batch does not fit, or the quotient is not finite at first.

    Source:
        Dauphin & Schoenholz, MetaInit: Initializing learning by learning to initialize, 2019,
        eq. 1 and sec. 3.2.

    Example:
        >>> from torch import nn
        >>> from init_bench import initialize
        >>> draws = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(32, 8, generator=draws), torch.randint(3, (32,), generator=draws)
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        >>> loss = nn.functional.cross_entropy
        >>> report = initialize(model, "metainit(steps=5)", batch=(x, y), loss=loss)
        >>> "gradient quotient" in report.rows[0].note
        True
    """
    lr, momentum = finite(lr, "lr", minimum=0), finite(momentum, "momentum", minimum=0)
    steps = int(finite(steps, "steps", minimum=1))
    network.start(start)
    tuned = [slot for slot in network.trainable() if slot.role == "weight"]
    descent = _Descent(network, tuned, lr, momentum)
    with network.looking(), differentiating("metainit", "three times"):
        for _ in range(steps):
            descent.step()
        descent.quotient()
    descent.keep_best()


class _Descent:
    """Signed momentum on the norms, relative to where they started."""

    def __init__(self, network: "Network", tuned: list["Slot"], lr: float, momentum: float) -> None:
        self.network, self.tuned, self.lr, self.momentum = network, tuned, lr, momentum
        self.begin = [slot.values.clone() for slot in tuned]
        self.norms = [value.norm().item() for value in self.begin]
        self.factors = [1.0] * len(tuned)
        self.speeds = [0.0] * len(tuned)
        self.seen: list[tuple[float, list[float]]] = []

    def quotient(self) -> Tensor:
        """Return the gradient quotient now, and remember it with its norms."""
        loss = self.network.objective()
        parameters = [slot.parameter for slot in self.network.trainable(kept=True)]
        quotient = gradient_quotient(loss, parameters)
        value = quotient.item()
        if not math.isfinite(value) and not self.seen:
            raise InitBenchError(
                f"the gradient quotient is {value} at the start; choose another start=, or look "
                f"at the batch and the loss"
            )
        self.seen.append((value if math.isfinite(value) else math.inf, list(self.factors)))
        return quotient

    def step(self) -> None:
        quotient = self.quotient()
        weights = [slot.parameter for slot in self.tuned]
        slopes = torch.autograd.grad(quotient, weights, materialize_grads=True)
        for i, (slot, slope) in enumerate(zip(self.tuned, slopes, strict=True)):
            uphill = (slot.values * slope).sum().nan_to_num().sign().item()
            self.speeds[i] = self.momentum * self.speeds[i] - self.lr * uphill
            norm = self.norms[i] * self.factors[i] + self.speeds[i]
            if self.norms[i] > 0 and norm > 0:
                self.factors[i] = norm / self.norms[i]
            slot.write(self.begin[i] * self.factors[i])

    def keep_best(self) -> None:
        """Scale the weights as they were where the quotient was least."""
        best, factors = min(self.seen, key=lambda seen: seen[0])
        for slot, value, factor in zip(self.tuned, self.begin, factors, strict=True):
            slot.write(value)
            change = f"gradient quotient {self.seen[0][0]:.4g} → {best:.4g}"
            self.network.scale(slot, factor, f"times {factor:.4g}: {change}")


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
