"""Capture the layers of many plain MLPs at once, and test them, on an accelerator.

To describe the 23 tensors of one network of the book takes some hundred small kernels, and each
waits for its launch. A stack of networks takes no more of them than one network.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.hooks.layer_call import Row
from init_bench.statistics.histogram import Histogram
from init_bench.statistics.stacked import (
    describe_stack,
    describe_weight_stack,
    histograms_of_stack,
)
from init_bench.training.cell import Cell
from init_bench.training.tables import stored_row

T = TypeVar("T")


TOGETHER = 64
"""Networks measured together at most, which bounds the memory."""


TESTED_SAMPLES = 2000
"""Test samples that go through the networks together at most, which bounds the memory."""


Statistics = list[dict[str, float]]


class MLPStack:
    """Hold the weights of MLPs of one shape and nonlinearity.

    Attributes:
        weights: of each layer, ``(G, n_out, n_in)``.
        biases: of each layer, ``(G, 1, n_out)``; empty without.
        phi: the nonlinearity.
        bounds: of its values, if it saturates at both ends.
    """

    def __init__(self, networks: Sequence[nn.Module], activation: str) -> None:
        states = [network.state_dict() for network in networks]
        layers = range(1, 1 + sum(name.endswith(".weight") for name in states[0]))

        def stacked(kind: str) -> list[Tensor]:
            names = [name for i in layers if (name := f"fc{i}.{kind}") in states[0]]
            return [torch.stack([state[name] for state in states]) for name in names]

        self.weights = stacked("weight")
        self.biases = [bias.unsqueeze(1) for bias in stacked("bias")]
        self.bounds = ACTIVATIONS[activation].bounds
        self.phi = ACTIVATIONS[activation].module().to(self.weights[0].device)

    def __len__(self) -> int:
        """Return the number of networks."""
        return len(self.weights[0])

    def outputs(self, inputs: Tensor) -> list[Tensor]:
        """Return the outputs ``(G, N, units)`` of fc1, act1, fc2, …"""
        z = inputs.expand(len(self), -1, -1)
        outputs: list[Tensor] = []
        for i, weight in enumerate(self.weights):
            if i:
                z = self.phi(z)
                outputs.append(z)
            z = torch.baddbmm(self.biases[i], z, weight.mT) if self.biases else z @ weight.mT
            if not i and torch.is_grad_enabled():
                z.requires_grad_()
            outputs.append(z)
        return outputs


def by_activation(
    networks: Sequence[nn.Module],
    cells: Sequence[Cell],
    measure: Callable[[MLPStack], list[T]],
) -> list[T]:
    """Return what ``measure`` gives for each network, stacks made of one nonlinearity each."""
    found: dict[int, T] = {}
    for phi in dict.fromkeys(cell.activation for cell in cells):
        mine = [i for i, cell in enumerate(cells) if cell.activation == phi]
        for part in (mine[k : k + TOGETHER] for k in range(0, len(mine), TOGETHER)):
            stack = MLPStack([networks[i] for i in part], phi)
            found |= zip(part, measure(stack), strict=True)
    return [found[i] for i in range(len(cells))]


def accuracies(stack: MLPStack, inputs: Tensor, targets: Tensor) -> list[float]:
    """Return the share of samples that each network classifies correctly; nan logits are wrong."""
    correct = []
    with torch.no_grad():
        parts = (torch.split(each, TESTED_SAMPLES) for each in (inputs, targets))
        for x, y in zip(*parts, strict=True):
            logits = stack.outputs(x)[-1]
            correct.append((logits.argmax(dim=2) == y) & logits.isfinite().all(dim=2))
    found: list[int] = torch.cat(correct, dim=1).sum(dim=1).cpu().tolist()
    return [count / len(targets) for count in found]


def layer_rows(stack: MLPStack, inputs: Tensor, targets: Tensor) -> list[list[Row]]:
    """Return for each network the rows of ``capture``, forward and backward, that a run stores."""
    by_row = list(_rows(stack, inputs, targets))
    return [
        [stored_row(key | found[i], counted[i]) for key, found, counted in by_row]
        for i in range(len(stack))
    ]


def _rows(
    stack: MLPStack, inputs: Tensor, targets: Tensor
) -> Iterator[tuple[dict[str, object], Statistics, Sequence[Histogram | None]]]:
    """Yield each row's key, and of every network its statistics and histogram, as they ran."""
    uncounted = [None] * len(stack)
    with torch.enable_grad():
        outputs = stack.outputs(inputs)
        classes = targets.expand(len(stack), -1)
        losses = nn.functional.cross_entropy(outputs[-1].mT, classes, reduction="none")
        gradients = torch.autograd.grad(losses.mean(dim=1).sum(), outputs)
    for k, (output, gradient) in enumerate(zip(outputs, gradients, strict=True)):
        is_activation = bool(k % 2)
        layer = f"{'act' if is_activation else 'fc'}{k // 2 + 1}"
        key: dict[str, object] = {"layer": layer, "index": k + 1}
        kind = "activation" if is_activation else "pre_activation"
        found = describe_stack(output, stack.bounds if is_activation else None)
        yield key | {"kind": kind}, found, histograms_of_stack(output, found)
        if not is_activation:
            found = describe_weight_stack(stack.weights[k // 2])
            yield key | {"kind": "weight"}, found, uncounted
        yield key | {"kind": "gradient"}, describe_stack(gradient), uncounted
