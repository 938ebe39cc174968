"""Optimizers of the engine: update one parameter of many cells, each cell with its own rates.

The gradient g arrives as a matrix product that is added to ``accumulator``:
accumulator ← accumulator + accumulate_scale · product, or accumulator ← product where
``overwrites`` is true. SGD accumulates into the weight itself, so no gradient is ever stored.

To add an optimizer, write an ``UpdateRule`` and put it into ``OPTIMIZERS``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from init_bench.init.whole_model.rate_factors import Factors
from init_bench.training.cell import Cell
from init_bench.training.engine.update_rule import Axis, UpdateRule


class SGD(UpdateRule):
    """W ← W − lr (g + λ W): the product is subtracted from the weight itself.

    Source:
        as ``torch.optim.SGD(lr, weight_decay=λ)``.
    """

    overwrites = False
    accumulate_scale = -1
    folds_lr = True

    @property
    def accumulator(self) -> Tensor:
        """Return the weight itself."""
        return self.values

    def begin_step(self) -> None:
        """Decay the weight."""
        if self.decays:
            self.values.mul_(1 - self.lr * self.decay)

    def end_step(self) -> None:
        """Do nothing: the product is the update."""


class Momentum(UpdateRule):
    """V ← μ V + lr (g + λ W), W ← W − V.

    Source:
        as ``torch.optim.SGD(lr, momentum=μ, weight_decay=λ)``, whose buffer is V / lr.
    """

    overwrites = False
    accumulate_scale = 1
    folds_lr = True

    def __init__(self, values: Tensor, axis: Axis, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.momentum = self._per_cell([cell.momentum for cell in cells])
        self.velocity = torch.zeros_like(values)

    @property
    def accumulator(self) -> Tensor:
        """Return the velocity."""
        return self.velocity

    def begin_step(self) -> None:
        """Shrink the velocity and add the weight decay to it."""
        self.velocity.mul_(self.momentum)
        if self.decays:
            self.velocity.addcmul_(self.values, self.lr * self.decay)

    def end_step(self) -> None:
        """Move the weight by the velocity."""
        self.values.sub_(self.velocity)


class GradientRule(UpdateRule):
    """Store the gradient; a rule of this kind computes its update from ``gradient``.

    ``end_step`` may use the gradient's memory for the update.
    """

    overwrites = True
    accumulate_scale = 1
    folds_lr = False
    epsilon: float | Tensor = 0.0

    def __init__(self, values: Tensor, axis: Axis, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.gradient = torch.zeros_like(values)

    @property
    def accumulator(self) -> Tensor:
        """Return the gradient."""
        return self.gradient

    def use_factors(self, factors: Sequence[Factors]) -> None:
        """Multiply the rule's ε too, where it has one."""
        super().use_factors(factors)
        if any(one.eps != 1 for one in factors):
            self.epsilon = self.epsilon * self._per_cell([one.eps for one in factors])

    def begin_step(self) -> None:
        """Do nothing: the product replaces the last gradient."""

    def apply_weight_decay(self) -> None:
        """Let g ← g + λ W."""
        if self.decays:
            self.gradient.addcmul_(self.values, self.decay)


class Adagrad(GradientRule):
    """S ← S + g², W ← W − lr g / (√S + 1e-10).

    Source:
        Duchi et al., 2011; as ``torch.optim.Adagrad(lr, weight_decay=λ)``, λ W added to g.
    """

    epsilon = 1e-10

    def __init__(self, values: Tensor, axis: Axis, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.squares = torch.zeros_like(values)

    def end_step(self) -> None:
        """Divide the gradient by the root of the sum of its squares."""
        self.apply_weight_decay()
        self.squares.addcmul_(self.gradient, self.gradient)
        self.values.sub_(self.gradient.mul_(self.lr).div_(self.squares.sqrt().add_(self.epsilon)))


class Adam(GradientRule):
    """M ← β₁ M + (1 − β₁) g, S ← β₂ S + (1 − β₂) g², W ← W − lr M̂ / (√Ŝ + 1e-8).

    β₁ = 0.9, β₂ = 0.999, M̂ = M / (1 − β₁ᵗ), Ŝ = S / (1 − β₂ᵗ).

    Source:
        Kingma & Ba, 2015, algorithm 1; as ``torch.optim.Adam(lr, weight_decay=λ)``.
    """

    epsilon = 1e-8
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(self, values: Tensor, axis: Axis, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.squares = torch.zeros_like(values)
        self.mean = torch.zeros_like(values)
        self.steps = self._zero_steps()

    def _zero_steps(self) -> Any:
        """Return 0; on an accelerator as a tensor, which a replayed step can count up."""
        device = self.values.device
        if device.type == "cpu":
            return 0
        dtype = torch.float32 if device.type == "mps" else torch.float64
        return torch.zeros((), dtype=dtype).to(device)

    def end_step(self) -> None:
        """Divide the mean gradient by the root of the mean of its squares."""
        self.apply_weight_decay()
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(self.gradient, 1 - first)
        self.squares.mul_(second).addcmul_(self.gradient, self.gradient, value=1 - second)
        root = (self.squares.sqrt() / (1 - second**self.steps) ** 0.5).add_(self.epsilon)
        rate = self.lr / (1 - first**self.steps)
        self.values.sub_(torch.div(self.mean, root, out=root).mul_(rate))


class AdamW(Adam):
    """Adam on g alone after W ← (1 − lr λ) W.

    Source:
        Loshchilov & Hutter, 2019, algorithm 2; as ``torch.optim.AdamW(lr, weight_decay=λ)``.
    """

    def apply_weight_decay(self) -> None:
        """Let W ← (1 − lr λ) W."""
        if self.decays:
            self.values.mul_(1 - self.lr * self.decay)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Describe an optimizer.

    Attributes:
        rule: makes the update rule of one parameter from its values, the dimension of the cells
            and the cells.
        torch_class: the optimizer of ``torch.optim`` with the same updates, if there is one.
        help: a line about it.
        reads: fields of a cell that it reads beside ``lr`` and ``weight_decay``, by the names
            that ``torch_class`` takes. A grid makes no cells for those that it does not read.
    """

    rule: Callable[[Tensor, Axis, Sequence[Cell]], UpdateRule]
    help: str
    torch_class: type[torch.optim.Optimizer] | None = None
    reads: tuple[str, ...] = ()


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(rule=SGD, torch_class=torch.optim.SGD, help="gradient descent on minibatches"),
    "momentum": Optimizer(
        rule=Momentum,
        torch_class=torch.optim.SGD,
        reads=("momentum",),
        help="SGD with a velocity that forgets by the axis momentum",
    ),
    "adagrad": Optimizer(rule=Adagrad, torch_class=torch.optim.Adagrad, help="Duchi et al., 2011"),
    "adam": Optimizer(rule=Adam, torch_class=torch.optim.Adam, help="Kingma & Ba, 2015"),
    "adamw": Optimizer(
        rule=AdamW,
        torch_class=torch.optim.AdamW,
        help="Adam with decoupled weight decay; Loshchilov & Hutter, 2019",
    ),
}
"""Optimizers by the name that a grid gives them."""


def unread_settings(name: str) -> set[str]:
    """Return the settings that other optimizers read and this one does not; none if it is unknown.

    Example:
        >>> unread_settings("sgd"), unread_settings("momentum")
        ({'momentum'}, set())
    """
    if name not in OPTIMIZERS:
        return set()
    read_by_some = {setting for each in OPTIMIZERS.values() for setting in each.reads}
    return read_by_some - set(OPTIMIZERS[name].reads)
