"""Many small MLPs as one: weights stacked over cells, products by ``baddbmm``."""

import itertools
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from init_bench.activations import ACTIVATIONS
from init_bench.grid import Cell

T = TypeVar("T")


class StackedMLP:
    """The MLPs of one chunk, trained by SGD side by side.

    Shapes, with G cells, B samples in a minibatch:
        weights[l]: ``(G, n_out, n_in)``; biases[l]: ``(G, n_out)``.

    Every product is one matrix product per cell, so that with one intra-op thread a cell's
    numbers do not depend on which others share the stack.
    """

    def __init__(self, cells: Sequence[Cell], networks: Sequence[nn.Module], device: torch.device):
        states = [network.state_dict() for network in networks]
        layers = range(1, cells[0].depth + 1)

        def stacked(name: str) -> list[Tensor]:
            parts = (torch.stack([state[f"fc{i}.{name}"] for state in states]) for i in layers)
            return [part.to(device).requires_grad_() for part in parts]

        self.weights, self.biases = stacked("weight"), stacked("bias")
        self.lr = torch.tensor([cell.lr for cell in cells], dtype=torch.float32).to(device)
        self.by_seed = _runs([cell.seed for cell in cells])
        runs = _runs([cell.activation for cell in cells])
        self.by_activation = [(ACTIVATIONS[name].module(), span) for name, span in runs]

    def step(self, inputs: dict[int, Tensor], targets: dict[int, Tensor]) -> Tensor:
        """Do one SGD step for every cell; return the losses ``(G,)`` before it.

        Shapes:
            inputs[seed]: ``(B, features)``; targets[seed]: ``(B,)``.
        """
        losses = self._losses(inputs, targets)
        parameters = [*self.weights, *self.biases]
        gradients = torch.autograd.grad(losses.sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                rate = self.lr.view(-1, *[1] * (parameter.dim() - 1))
                parameter.addcmul_(rate, gradient, value=-1)
        return losses.detach()

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        own = dict(network.named_parameters())
        with torch.no_grad():
            for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
                own[f"fc{i}.weight"].copy_(weight[index])
                own[f"fc{i}.bias"].copy_(bias[index])

    def finite(self) -> list[bool]:
        """Return, by cell, whether all weights and biases are finite."""
        checks = [p.detach().isfinite().flatten(1).all(dim=1) for p in (*self.weights, *self.biases)]
        flags: list[bool] = torch.stack(checks).all(dim=0).cpu().tolist()
        return flags

    def _losses(self, inputs: dict[int, Tensor], targets: dict[int, Tensor]) -> Tensor:
        """Return the softmax cross-entropy of every cell, ``(G,)``."""
        z = torch.cat([self._first(inputs[seed], span) for seed, span in self.by_seed])
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            z = torch.baddbmm(bias.unsqueeze(1), self._activate(z), weight.mT)
        log_p = torch.log_softmax(z, dim=2)
        y = torch.cat([targets[seed].expand(_size(span), -1) for seed, span in self.by_seed])
        return -log_p.gather(2, y.unsqueeze(2)).squeeze(2).mean(dim=1)

    def _first(self, x: Tensor, span: slice) -> Tensor:
        weight, bias = self.weights[0][span], self.biases[0][span]
        return torch.baddbmm(bias.unsqueeze(1), x.expand(_size(span), -1, -1), weight.mT)

    def _activate(self, a: Tensor) -> Tensor:
        return torch.cat([phi(a[span]) for phi, span in self.by_activation])


def _runs(values: Sequence[T]) -> list[tuple[T, slice]]:
    """Return runs of equal neighbours as (value, slice)."""
    runs: list[tuple[T, slice]] = []
    start = 0
    for value, group in itertools.groupby(values):
        stop = start + len(list(group))
        runs.append((value, slice(start, stop)))
        start = stop
    return runs


def _size(span: slice) -> int:
    return int(span.stop - span.start)
