"""Capture the layers of many plain MLPs at once, as ``capture`` does for each, on an accelerator.

One network of the book has 14 layer calls and gradients; their statistics are some hundred small
kernels, for each of which the device waits. For a stack of networks they are as many in all.
"""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.hooks.record import COLUMNS
from init_bench.statistics.stacked import describe_stack, describe_weight_stack

TOGETHER = 64
"""Networks captured together: bounds the memory."""


Statistics = list[dict[str, float]]


def layer_tables(
    networks: Sequence[nn.Module], activation: str, inputs: Tensor, targets: Tensor
) -> list[pd.DataFrame]:
    """Return for each network the table that ``capture`` gives of a forward and backward pass.

    Args:
        networks: MLPs of one shape and nonlinearity, ``fc1``, ``act1``, … ``fc<depth>``.
        inputs, targets: samples ``(N, features)`` and their classes ``(N,)``.
    """
    parts = [networks[i : i + TOGETHER] for i in range(0, len(networks), TOGETHER)]
    return [t for part in parts for t in _tables(part, activation, inputs, targets)]


def _tables(
    networks: Sequence[nn.Module], activation: str, inputs: Tensor, targets: Tensor
) -> list[pd.DataFrame]:
    by_row = list(_rows(_Stack(networks, activation, inputs, targets)))
    columns = [*COLUMNS, "call"]
    return [
        pd.DataFrame([place | found[i] for place, found in by_row], columns=columns)
        for i in range(len(networks))
    ]


class _Stack:
    """Hold weights, outputs and gradients of the stack, layer by layer, after one pass."""

    def __init__(
        self, networks: Sequence[nn.Module], activation: str, inputs: Tensor, targets: Tensor
    ) -> None:
        self.bounds = ACTIVATIONS[activation].bounds
        self.phi = ACTIVATIONS[activation].module().to(inputs.device)
        states = [network.state_dict() for network in networks]
        depth = sum(name.endswith(".weight") for name in states[0])
        self.weights = [
            torch.stack([state[f"fc{i}.weight"] for state in states]) for i in range(1, depth + 1)
        ]
        biases = [
            torch.stack([state[f"fc{i}.bias"] for state in states])
            for i in range(1, depth + 1)
            if "fc1.bias" in states[0]
        ]
        self.outputs = self._forward(inputs, biases)
        logits = self.outputs[-1].mT
        classes = targets.expand(len(networks), -1)
        losses = nn.functional.cross_entropy(logits, classes, reduction="none").mean(dim=1)
        self.gradients = torch.autograd.grad(losses.sum(), self.outputs)

    def _forward(self, inputs: Tensor, biases: Sequence[Tensor]) -> list[Tensor]:
        """Return every layer's output: fc1, act1, fc2 …"""
        z = inputs.expand(len(self.weights[0]), -1, -1)
        outputs: list[Tensor] = []
        with torch.enable_grad():
            for i, weight in enumerate(self.weights):
                if i:
                    z = self.phi(z)
                    outputs.append(z)
                z = z @ weight.mT
                if biases:
                    z = z + biases[i].unsqueeze(1)
                if not i:
                    z.requires_grad_()
                outputs.append(z)
        return outputs


def _rows(stack: _Stack) -> Iterator[tuple[dict[str, object], Statistics]]:
    """Yield the place of each row, and its statistics for every network, in order of execution."""
    for k, (output, gradient) in enumerate(zip(stack.outputs, stack.gradients, strict=True)):
        number, is_activation = k // 2 + 1, bool(k % 2)
        layer = f"act{number}" if is_activation else f"fc{number}"
        place: dict[str, object] = {"layer": layer, "index": k + 1, "call": 1}
        bounds = stack.bounds if is_activation else None
        kind = "activation" if is_activation else "pre_activation"
        yield place | {"kind": kind}, describe_stack(output, bounds)
        if not is_activation:
            yield place | {"kind": "weight"}, describe_weight_stack(stack.weights[k // 2])
        yield place | {"kind": "gradient"}, describe_stack(gradient)
