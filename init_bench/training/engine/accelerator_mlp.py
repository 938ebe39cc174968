"""Train many small MLPs as one on an accelerator: few large products, backward written by hand."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.datasets import Dataset
from init_bench.training.cell import Cell
from init_bench.training.engine.equal_neighbors import run_length, runs
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.update_rule import UpdateRule, accumulate

ALIGNED = 8
"""Dimensions of products are rounded up to a multiple of this, 16 bytes of bfloat16: for others an
accelerator's matrix units take a slower path."""


class AcceleratorMLP:
    """Train the MLPs of one chunk side by side, the bias a column of the weight.

    The G cells form S slots of g neighbors. Cells of a slot share nonlinearity, seed and so the
    minibatch of B samples. The inputs of every product have a row of ones, for the bias, and are
    padded with zeros to P rows. Shapes:
        first: ``(S, columns, g, P)``, columns sorted by use, the bias after those that are used;
        weights[l]: ``(G, n_out, P)``, the bias after the units;
        a and z, feature-major: ``(G, P, B)``.

    No cell is ever dropped and no value is read by the host, so that a step can be recorded and
    replayed. With ``precision="bfloat16"`` operands and results of the products are bfloat16;
    weights, updates and the loss stay float32.
    """

    def __init__(self, cells: Sequence[Cell], networks: Sequence[nn.Module], data: Dataset) -> None:
        self.cells, self.depth = list(cells), cells[0].depth
        neighbors = runs([(cell.activation, cell.seed) for cell in cells])
        self.group = math.gcd(*(run_length(part) for _, part in neighbors))
        self.seeds = [cell.seed for cell in cells[:: self.group]]
        self.order, self.one = data.sorted_columns.order, float(cells[0].bias)
        self.inputs = self._augmented(data)
        self._stack([network.state_dict() for network in networks])
        self._allocate(data.classes)

    def _augmented(self, data: Dataset) -> Tensor:
        """Return the used columns of all inputs, a column of ones, and zeros to alignment.

        Weights of columns that are 0 in every sample have no gradient; only weight decay moves
        them.
        """
        decays = any(cell.weight_decay for cell in self.cells)
        self.used = data.features if decays else int(data.sorted_columns.used.max())
        samples = data.sorted_columns.values()
        wide = samples.new_zeros((len(samples), _aligned(self.used + 1)))
        wide[:, : self.used] = samples[:, : self.used]
        wide[:, self.used] = self.one
        return wide

    def _stack(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Put the weights of all cells into the stack."""
        rule, device = OPTIMIZERS[self.cells[0].optimizer].rule, self.order.device

        def stacked(name: str) -> Tensor:
            return torch.stack([state[name] for state in states]).to(device)

        def with_bias(i: int, weights: Tensor) -> Tensor:
            """Append the bias to ``(G, n_out, fan_in)``, then zeros to alignment."""
            count, outputs, inputs = weights.shape
            wide = weights.new_zeros((count, outputs, _aligned(inputs + 1)))
            wide[:, :, :inputs] = weights
            if self.one:
                wide[:, :, inputs] = stacked(f"fc{i}.bias")
            return wide

        columns = stacked("fc1.weight").index_select(2, self.order[: self.used])
        outputs = columns.shape[1]
        first = columns.new_zeros((len(states), _aligned(outputs + 1), self.inputs.shape[1]))
        first[:, :outputs] = with_bias(1, columns)
        slots = (len(self.seeds), self.group)
        grouped = first.view(*slots, *first.shape[1:]).permute(0, 3, 1, 2)
        self.first: UpdateRule = rule(grouped.contiguous(), (0, 2), self.cells)
        self.weights: list[UpdateRule] = [
            rule(with_bias(i, stacked(f"fc{i}.weight")), 0, self.cells)
            for i in range(2, self.depth + 1)
        ]

    def _allocate(self, classes: int) -> None:
        """Make the buffers of a step, once: a recorded step reads and writes the same memory."""
        values, cell, count = self.first.values, self.cells[0], len(self.cells)
        self.widths = [*(cell.width for _ in range(self.depth - 1)), classes]
        self.dtype = torch.bfloat16 if cell.precision == "bfloat16" else values.dtype
        self.kernels = [
            (ACTIVATIONS[name].kernel_on(values.device), part)
            for name, part in runs([each.activation for each in self.cells])
        ]
        padded, size = values.shape[3], cell.batch_size
        rows = [padded] * (self.depth - 1) + [classes if self.weights else padded]
        self.a = [values.new_zeros((count, n, size), dtype=self.dtype) for n in rows]
        separate = any(phi.needs_a for phi, _ in self.kernels)
        self.z = [torch.zeros_like(a) if separate else a for a in self.a[:-1]]
        for z, width in zip(self.z, self.widths, strict=False):
            z[:, width] = self.one
        self.upstream = [torch.zeros_like(self.a[0]) for _ in range(2)]
        rates = [each.lr if self.first.folds_lr else 1.0 for each in self.cells]
        scale = torch.tensor(rates, dtype=values.dtype).view(-1, 1, 1) / size
        self.scale = scale.to(values.device)

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Do one update of every cell; return the losses ``(G,)`` before it.

        Shapes:
            x: ``(S, B, columns)``; y: ``(S, B)``.
        """
        x = x.to(self.dtype)
        self._forward(x)
        losses, delta = self._loss(y)
        for i in range(self.depth - 1, 0, -1):
            delta = self._backward(i, delta)
        padded = self.upstream[1]
        if not self.weights:
            padded[:, : self.widths[0]] = delta
        rule = self.first
        rule.begin_step()
        accumulate(rule, rule.accumulator.flatten(2), x.mT, self._by_slot(padded).mT)
        rule.end_step()
        return losses

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        own = dict(network.named_parameters())
        slot, member = divmod(index, self.group)
        first = self.first.values[slot, :, member, : self.widths[0]]
        with torch.no_grad():
            own["fc1.weight"][:, self.order[: self.used]] = first[: self.used].mT
            if self.one:
                own["fc1.bias"].copy_(first[self.used])
            for i, rule in enumerate(self.weights, start=2):
                fan_in = self.widths[i - 2]
                own[f"fc{i}.weight"].copy_(rule.values[index, :, :fan_in])
                if self.one:
                    own[f"fc{i}.bias"].copy_(rule.values[index, :, fan_in])

    def _forward(self, x: Tensor) -> None:
        first = self.first.values.flatten(2).to(self.dtype)
        torch.bmm(first.mT, x.mT, out=self._by_slot(self.a[0]))
        for i, (rule, width) in enumerate(zip(self.weights, self.widths, strict=False)):
            for phi, part in self.kernels:
                phi.forward(self.a[i][part, :width], self.z[i][part, :width])
            if i == 0:
                self.z[0][:, width] = self.one  # the first product has written zeros there
            out = self.a[i + 1][:, : self.widths[i + 1]]
            torch.bmm(rule.values.to(self.dtype), self.z[i], out=out)

    def _loss(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropies ``(G,)`` and their gradient by the logits, scaled."""
        y = y.unsqueeze(1).expand(-1, self.group, -1).reshape(len(self.cells), 1, -1)
        logits = self.a[-1][:, : self.widths[-1]]
        log_p = torch.log_softmax(logits, dim=1, dtype=self.scale.dtype)
        losses = log_p.gather(1, y).mean(dim=(1, 2)).neg_()
        delta = log_p.exp_().scatter_add_(1, y, torch.full_like(log_p[:, :1], -1.0))
        return losses, delta.mul_(self.scale).to(self.dtype)

    def _backward(self, i: int, delta: Tensor) -> Tensor:
        """Update the weights of layer ``i``; return the gradient by the outputs of the one before.

        Rows of the padding stay 0, so that the padding of the weights does.
        """
        rule, width = self.weights[i - 1], self.widths[i - 1]
        upstream = self.upstream[i % 2][:, :width]
        torch.bmm(rule.values[:, :, :width].to(self.dtype).mT, delta, out=upstream)
        rule.begin_step()
        accumulate(rule, rule.accumulator, delta, self.z[i - 1].mT)
        rule.end_step()
        for phi, part in self.kernels:
            phi.backward(upstream[part], self.a[i - 1][part, :width], self.z[i - 1][part, :width])
        return upstream

    def _by_slot(self, stacked: Tensor) -> Tensor:
        """Return ``(G, P, B)`` as ``(S, g · P, B)``."""
        return stacked.view(len(self.seeds), -1, stacked.shape[2])


def _aligned(size: int) -> int:
    """Round up to a multiple of ``ALIGNED``."""
    return -(-size // ALIGNED) * ALIGNED
