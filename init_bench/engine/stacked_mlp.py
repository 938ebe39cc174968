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
            return [part.to(device) for part in parts]

        self.weights, self.biases = stacked("weight"), stacked("bias")
        self.lr = torch.tensor([cell.lr for cell in cells], dtype=torch.float32).to(device)
        self.by_seed = _runs([cell.seed for cell in cells])
        runs = _runs([cell.activation for cell in cells])
        self.by_activation = [(ACTIVATIONS[name].module(), span) for name, span in runs]

    @torch.no_grad()
    def step(self, inputs: dict[int, Tensor], targets: dict[int, Tensor]) -> Tensor:
        """Do one SGD step for every cell; return the losses ``(G,)`` before it.

        The learning rates scale the gradient at the loss, so that every weight's update is one
        product added in place: W −= lr · δᵀz, no gradient is ever stored.

        Shapes:
            inputs[seed]: ``(B, features)``; targets[seed]: ``(B,)``.
        """
        hidden, logits = self._forward(inputs)
        y = torch.cat([targets[seed].expand(_size(span), -1) for seed, span in self.by_seed])
        losses, delta = self._loss(logits, y.unsqueeze(2))
        for weight, bias, layer in zip(
            reversed(self.weights[1:]), reversed(self.biases[1:]), reversed(hidden), strict=True
        ):
            upstream = torch.bmm(delta, weight)
            weight.baddbmm_(delta.mT, layer.z, alpha=-1)
            bias.sub_(delta.sum(dim=1))
            delta = layer.backward(upstream)
        for seed, span in self.by_seed:
            x = inputs[seed].expand(_size(span), -1, -1)
            self.weights[0][span].baddbmm_(delta[span].mT, x, alpha=-1)
        self.biases[0].sub_(delta.sum(dim=1))
        return losses

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        own = dict(network.named_parameters())
        with torch.no_grad():
            for i, (weight, bias) in enumerate(
                zip(self.weights, self.biases, strict=True), start=1
            ):
                own[f"fc{i}.weight"].copy_(weight[index])
                own[f"fc{i}.bias"].copy_(bias[index])

    def finite(self) -> list[bool]:
        """Return, by cell, whether all weights and biases are finite."""
        checks = [
            p.detach().isfinite().flatten(1).all(dim=1) for p in (*self.weights, *self.biases)
        ]
        flags: list[bool] = torch.stack(checks).all(dim=0).cpu().tolist()
        return flags

    def _forward(self, inputs: dict[int, Tensor]) -> tuple[list["_Activated"], Tensor]:
        """Return the activated hidden layers and the logits ``(G, B, classes)``."""
        a = _joined([self._first(inputs[seed], span) for seed, span in self.by_seed])
        hidden = []
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden.append(_Activated(a, self.by_activation))
            a = torch.baddbmm(bias.unsqueeze(1), hidden[-1].z, weight.mT)
        return hidden, a

    def _first(self, x: Tensor, span: slice) -> Tensor:
        weight, bias = self.weights[0][span], self.biases[0][span]
        return torch.baddbmm(bias.unsqueeze(1), x.expand(_size(span), -1, -1), weight.mT)

    def _loss(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the softmax cross-entropies ``(G,)`` and lr · ∂loss/∂logits."""
        log_p = torch.log_softmax(logits, dim=2)
        losses = -log_p.gather(2, y).squeeze(2).mean(dim=1)
        delta = log_p.exp_().scatter_add_(2, y, torch.full_like(logits[..., :1], -1.0))
        return losses, delta.mul_((self.lr / logits.shape[1]).view(-1, 1, 1))


class _Activated:
    """z = φ(a) with each cell's own φ, and the way back through it.

    Only the elementwise φ goes through autograd: any nonlinearity of the menu has its derivative.
    """

    def __init__(self, a: Tensor, by_activation: Sequence[tuple[nn.Module, slice]]) -> None:
        self.parts = []
        with torch.enable_grad():
            for phi, span in by_activation:
                leaf = a[span].detach().requires_grad_()
                self.parts.append((leaf, phi(leaf), span))
        self.z = _joined([z.detach() for _, z, _ in self.parts])

    def backward(self, upstream: Tensor) -> Tensor:
        """Return ∂/∂a for ``upstream`` = ∂/∂z."""
        return _joined(
            [torch.autograd.grad(z, leaf, upstream[span])[0] for leaf, z, span in self.parts]
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


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
