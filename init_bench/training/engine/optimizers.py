"""Update rules for one parameter of many cells, each cell with its own rates.

A gradient arrives as a product that is added to ``sink``: sink ← beta · sink + alpha · product.
Where the sink is the weight itself no gradient is ever stored.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from init_bench.training.cell import Cell


class SGD:
    """W ← W − lr (g + λ W), the rate folded into the gradient.

    Attributes:
        values: the parameter, cells along dimension ``axis``.
        sink, beta, alpha: where and how the gradient's product is added.
        folds_lr: whether the product comes with the learning rate in it.

    Source:
        as ``torch.optim.SGD(lr, weight_decay=λ)``.
    """

    folds_lr: ClassVar[bool] = True
    beta: ClassVar[int] = 1
    alpha: ClassVar[int] = -1

    def __init__(self, values: Tensor, axis: int, cells: Sequence[Cell]) -> None:
        self.values, self.axis = values, axis
        self.lr = self._vector([cell.lr for cell in cells])
        self.decay = self._vector([cell.weight_decay for cell in cells])
        self.decays = any(cell.weight_decay for cell in cells)

    @property
    def sink(self) -> Tensor:
        """The weight itself."""
        return self.values

    def before(self) -> None:
        """Do what comes before the product is added."""
        if self.decays:
            self.values.mul_(1 - self.lr * self.decay)

    def after(self) -> None:
        """Do what comes after."""

    def add(self, product: Tensor) -> None:
        """Add a product that is there already, the rate in it where ``folds_lr`` says so."""
        if self.beta == 0:
            self.sink.copy_(product)
        else:
            self.sink.add_(product, alpha=self.alpha)

    def update(self, gradient: Tensor) -> None:
        """Do one step with the gradient itself."""
        self.before()
        self.add(gradient * self.lr if self.folds_lr else gradient)
        self.after()

    def keep(self, indices: Tensor) -> None:
        """Forget all cells but those at ``indices``."""
        for name, held in vars(self).items():
            if isinstance(held, Tensor) and held.dim():
                setattr(self, name, held.index_select(self.axis, indices))

    def _vector(self, numbers: Sequence[float]) -> Tensor:
        """Return a number per cell, shaped to act along the cells' dimension."""
        shape = [1] * self.values.dim()
        shape[self.axis] = -1
        return torch.tensor(numbers, dtype=self.values.dtype).view(shape).to(self.values.device)


class Momentum(SGD):
    """V ← μ V + lr (g + λ W), W ← W − V.

    Source:
        as ``torch.optim.SGD(lr, momentum=μ, weight_decay=λ)``, whose buffer is V / lr.
    """

    alpha = 1

    def __init__(self, values: Tensor, axis: int, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.momentum = self._vector([cell.momentum for cell in cells])
        self.velocity = torch.zeros_like(values)

    @property
    def sink(self) -> Tensor:
        """The velocity."""
        return self.velocity

    def before(self) -> None:
        self.velocity.mul_(self.momentum)
        if self.decays:
            self.velocity.addcmul_(self.values, self.lr * self.decay)

    def after(self) -> None:
        self.values.sub_(self.velocity)


class Adagrad(SGD):
    """S ← S + g², W ← W − lr g / (√S + 1e-10).

    Source:
        Duchi et al., 2011; as ``torch.optim.Adagrad(lr, weight_decay=λ)``, λ W added to g.
    """

    folds_lr = False
    beta = 0
    alpha = 1
    epsilon: ClassVar[float] = 1e-10

    def __init__(self, values: Tensor, axis: int, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.gradient = torch.zeros_like(values)
        self.squares = torch.zeros_like(values)

    @property
    def sink(self) -> Tensor:
        """The gradient."""
        return self.gradient

    def before(self) -> None:
        """Nothing: the product replaces the last gradient."""

    def after(self) -> None:
        self._decay()
        self.squares.addcmul_(self.gradient, self.gradient)
        self.values.sub_(self.gradient.mul_(self.lr).div_(self.squares.sqrt().add_(self.epsilon)))

    def _decay(self) -> None:
        if self.decays:
            self.gradient.addcmul_(self.values, self.decay)


class Adam(Adagrad):
    """M ← β₁ M + (1 − β₁) g, S ← β₂ S + (1 − β₂) g², W ← W − lr M̂ / (√Ŝ + 1e-8).

    β₁ = 0.9, β₂ = 0.999, M̂ = M / (1 − β₁ᵗ), Ŝ = S / (1 − β₂ᵗ).

    Source:
        Kingma & Ba, 2015, algorithm 1; as ``torch.optim.Adam(lr, weight_decay=λ)``.
    """

    epsilon = 1e-8
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(self, values: Tensor, axis: int, cells: Sequence[Cell]) -> None:
        super().__init__(values, axis, cells)
        self.mean = torch.zeros_like(values)
        self.steps = 0

    def after(self) -> None:
        self._decay()
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

    def _decay(self) -> None:
        if self.decays:
            self.values.mul_(1 - self.lr * self.decay)


Rule = SGD


RULES: dict[str, Callable[[Tensor, int, Sequence[Cell]], Rule]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}
