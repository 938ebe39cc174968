"""Define what an optimizer of the engine must do to one parameter of many cells."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from init_bench.init.whole_model.rate_factors import PLAIN, Factors
from init_bench.training.cell import Cell

Axis = int | tuple[int, int]
"""The dimension of the cells, or the two that they fill row by row."""


CellFactors = Sequence[Mapping[str, Factors]]
"""For each cell the factors of its parameters' rates, by name; those not named have none."""


def factors_of(name: str, factors: CellFactors) -> list[Factors]:
    """Return the factors of one parameter in each cell.

    Example:
        >>> factors_of("bias", [{}, {"bias": Factors(lr=2.0)}])[1].lr
        2.0
    """
    return [each.get(name, PLAIN) for each in factors]


def has_rates(factors: CellFactors) -> bool:
    """Return whether any parameter of any cell has a rate of its own.

    Example:
        >>> has_rates([{}, {"bias": Factors(lr=2.0)}])
        True
    """
    return any(one != PLAIN for each in factors for one in each.values())


class UpdateRule(ABC):
    """Update one parameter of many cells in place.

    Attributes:
        values: the parameter, cells along dimension ``axis``, or along two dimensions.
        lr, decay: learning rate and weight decay of each cell, shaped to act along ``axis``.
        decays: whether any cell has weight decay.
        overwrites: whether a product replaces the accumulator instead of being added to it.
        accumulate_scale: factor of a product that is added.
        folds_lr: whether products come with the learning rate in them.
        lr_factor: of each cell, what its rate was multiplied by for this parameter; ``None`` if
            none was.
    """

    lr_factor: Tensor | None = None
    overwrites: ClassVar[bool]
    accumulate_scale: ClassVar[int]
    folds_lr: ClassVar[bool]

    def __init__(self, values: Tensor, axis: Axis, cells: Sequence[Cell]) -> None:
        self.values = values
        self.axes: tuple[int, ...] = axis if isinstance(axis, tuple) else (axis,)
        self.lr = self._per_cell([cell.lr for cell in cells])
        self.decay = self._per_cell([cell.weight_decay for cell in cells])
        self.decays = any(cell.weight_decay for cell in cells)

    def use_factors(self, factors: Sequence[Factors]) -> None:
        """Multiply rate and weight decay of each cell by its factors for this parameter."""
        if all(one == PLAIN for one in factors):
            return
        self.lr_factor = self._per_cell([one.lr for one in factors])
        self.lr = self.lr * self.lr_factor
        self.decay = self.decay * self._per_cell([one.weight_decay for one in factors])

    def rated(self, signal: Tensor) -> Tensor:
        """Return ``signal``, cells first, times their rates' factors if a product carries these."""
        if self.lr_factor is None or not self.folds_lr:
            return signal
        return signal * self.lr_factor.view(-1, *[1] * (signal.dim() - 1)).to(signal.dtype)

    @property
    @abstractmethod
    def accumulator(self) -> Tensor:
        """Return the tensor that takes in the gradient's product."""

    @abstractmethod
    def begin_step(self) -> None:
        """Prepare the accumulator, before the product is added."""

    @abstractmethod
    def end_step(self) -> None:
        """Update the weights, after the product is added."""

    def accumulate(self, product: Tensor) -> None:
        """Add a product, the learning rate in it where ``folds_lr`` says so."""
        if self.overwrites:
            self.accumulator.copy_(product)
        else:
            self.accumulator.add_(product, alpha=self.accumulate_scale)

    def update(self, gradient: Tensor) -> None:
        """Do one step with the gradient itself."""
        self.begin_step()
        self.accumulate(gradient * self.lr if self.folds_lr else gradient)
        self.end_step()

    def keep(self, indices: Tensor) -> None:
        """Drop all cells but those at ``indices``, where they lie along one dimension."""
        (axis,) = self.axes
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.dim():
                setattr(self, name, value.index_select(axis, indices))

    def _per_cell(self, numbers: Sequence[float]) -> Tensor:
        """Return a number per cell, shaped to act along the cells' dimensions."""
        shape = [n if k in self.axes else 1 for k, n in enumerate(self.values.shape)]
        return torch.tensor(numbers, dtype=self.values.dtype).view(shape).to(self.values.device)


def accumulate(rule: UpdateRule, into: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right, scaled as the rule says, to ``into``, stacked or not; or overwrite it."""
    keep, scale = int(not rule.overwrites), rule.accumulate_scale
    if left.dtype != into.dtype:
        product = torch.matmul(left, right)
        into.copy_(product) if rule.overwrites else into.add_(product, alpha=scale)
    elif into.dim() == 2:
        into.addmm_(left, right, beta=keep, alpha=scale)
    else:
        into.baddbmm_(left, right, beta=keep, alpha=scale)
