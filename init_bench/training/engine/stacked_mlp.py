"""Train many small MLPs as one: weights stacked over cells, backward pass written by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from init_bench.activations.menu import ACTIVATIONS
from init_bench.training.cell import Cell
from init_bench.training.engine.equal_neighbors import run_length, runs
from init_bench.training.engine.first_layer_inputs import padded_rows
from init_bench.training.engine.minibatches import PaddedMinibatch, padded_size
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.update_rule import CellFactors, UpdateRule, accumulate, factors_of


class StackedMLP:
    """Train the MLPs of one chunk side by side; cells of equal seed are neighbors.

    Shapes, with G cells, g of them in a run of equal seed, minibatches padded to B samples:
        first[r]: ``(features, g, units)``, columns sorted by use, one matrix product for all g;
        weights[l]: ``(G, n_out, n_in)``; biases[l]: ``(G, n_out, 1)``;
        activations are feature-major: ``(G, units, B)``.

    With one intra-op thread a cell's numbers do not depend on which others share the stack.
    With ``precision="bfloat16"`` all of ``a``, ``z`` and their gradients are bfloat16, so that the
    products take and give it; weights, what is added to them and the loss stay float32.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        networks: Sequence[nn.Module],
        order: Tensor,
        factors: CellFactors = (),
    ) -> None:
        self.order = order
        states = [network.state_dict() for network in networks]
        rule, depth = OPTIMIZERS[cells[0].optimizer].rule, cells[0].depth

        def stacked(name: str, part: slice) -> Tensor:
            return torch.stack([state[name] for state in states[part]]).to(order.device)

        def own(name: str, values: Tensor, axis: int, part: slice = slice(None)) -> UpdateRule:
            made = rule(values, axis, cells[part])
            made.use_factors(factors_of(name, factors[part]))
            return made

        everything = slice(None)
        self.first = [
            own("fc1.weight", _first_layer(stacked("fc1.weight", part), order), 1, part)
            for _, part in runs([cell.seed for cell in cells])
        ]
        layers = range(1, depth + 1)
        self.weights = [
            own(f"fc{i}.weight", stacked(f"fc{i}.weight", everything), 0) for i in layers[1:]
        ]
        self.biases = [
            own(f"fc{i}.bias", stacked(f"fc{i}.bias", everything).unsqueeze(2), 0)
            for i in layers
            if cells[0].bias
        ]
        self._allocate(cells)

    def _allocate(self, cells: Sequence[Cell]) -> None:
        """Make the buffers of a step; they hold until cells are dropped."""
        self.cells = list(cells)
        self.by_seed = runs([cell.seed for cell in cells])
        values = self.first[0].values
        self.kernels = [
            (ACTIVATIONS[name].kernel_on(values.device), part)
            for name, part in runs([cell.activation for cell in cells])
        ]
        count, size = len(cells), cells[0].batch_size
        self.dtype = torch.bfloat16 if cells[0].precision == "bfloat16" else values.dtype
        widths = [values.shape[2], *(rule.values.shape[1] for rule in self.weights)]
        self.a = [values.new_empty((count, w, padded_size(size)), dtype=self.dtype) for w in widths]
        separate = any(phi.needs_a for phi, _ in self.kernels)
        self.z = [torch.empty_like(a) if separate else a for a in self.a[:-1]]
        self.upstream = [torch.empty_like(self.a[0]) for _ in range(2)]
        self.sums = [values.new_empty((count, width, 1)) for width in widths]
        share = values.new_zeros((1, 1, padded_size(size)))
        share[..., :size] = 1 / size
        folds = self.first[0].folds_lr
        rates = [cell.lr if folds else 1.0 for cell in cells]
        self.scale = share * torch.tensor(rates, dtype=values.dtype).view(-1, 1, 1).to(
            values.device
        )

    @torch.no_grad()
    def losses(self, batches: dict[int, PaddedMinibatch]) -> Tensor:
        """Return the losses ``(G,)`` of the cells; nothing is updated."""
        return self._loss(batches)[0]

    @torch.no_grad()
    def step(self, batches: dict[int, PaddedMinibatch]) -> Tensor:
        """Do one update of every cell; return the losses ``(G,)`` before it."""
        losses, delta = self._loss(batches)
        for i in range(len(self.weights), 0, -1):
            rule = self.weights[i - 1]
            weight = rule.values.to(self.dtype)
            upstream = torch.bmm(weight.mT, delta, out=self.upstream[i % 2])
            rule.begin_step()
            accumulate(rule, rule.accumulator, rule.rated(delta), self.z[i - 1].mT)
            rule.end_step()
            self._update_bias(i, delta)
            for phi, part in self.kernels:
                phi.backward(upstream[part], self.a[i - 1][part], self.z[i - 1][part])
            delta = upstream
        for rule, (seed, part) in zip(self.first, self.by_seed, strict=True):
            rule.begin_step()
            batches[seed].inputs.accumulate(rule, rule.rated(delta[part]).flatten(0, 1))
            rule.end_step()
        self._update_bias(0, delta)
        return losses

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        own = dict(network.named_parameters())
        run, part = next(
            (rule, part)
            for rule, (_, part) in zip(self.first, self.by_seed, strict=True)
            if part.start <= index < part.stop
        )
        with torch.no_grad():
            own["fc1.weight"][:, self.order] = run.values[:, index - part.start].mT
            for i, rule in enumerate(self.weights, start=2):
                own[f"fc{i}.weight"].copy_(rule.values[index])
            for i, rule in enumerate(self.biases, start=1):
                own[f"fc{i}.bias"].copy_(rule.values[index, :, 0])

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all cells but those at ``indices``, so that the rest run at full speed."""
        chosen = [self.cells[i] for i in indices]
        everywhere = torch.tensor(indices).to(self.order.device)
        for rule in (*self.weights, *self.biases):
            rule.keep(everywhere)
        runs = []
        for rule, (_, part) in zip(self.first, self.by_seed, strict=True):
            local = [i - part.start for i in indices if part.start <= i < part.stop]
            if local:
                rule.keep(torch.tensor(local).to(self.order.device))
                runs.append(rule)
        self.first = runs
        self._allocate(chosen)

    def _forward(self, batches: dict[int, PaddedMinibatch]) -> None:
        """Fill ``a`` and ``z`` of every layer; the last ``a`` are the logits."""
        for rule, (seed, part) in zip(self.first, self.by_seed, strict=True):
            weight = rule.values.flatten(1)
            out = self.a[0][part].view(weight.shape[1], -1)
            batches[seed].inputs.multiply(weight, out)
        for i, a in enumerate(self.a):
            if i:
                torch.bmm(self.weights[i - 1].values.to(self.dtype), self.z[i - 1], out=a)
            if self.biases:
                a.add_(self.biases[i].values)
            if i < len(self.z):
                for phi, part in self.kernels:
                    phi.forward(a[part], self.z[i][part])

    def _loss(self, batches: dict[int, PaddedMinibatch]) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropies ``(G,)`` and their gradient by the logits, scaled."""
        self._forward(batches)
        y = torch.cat([batches[seed].targets.expand(run_length(s), -1) for seed, s in self.by_seed])
        y = y.unsqueeze(1)
        log_p = torch.log_softmax(self.a[-1], dim=1, dtype=self.scale.dtype)
        picked = log_p.gather(1, y).squeeze(1)[:, : self.cells[0].batch_size]
        losses = picked.mean(dim=1).neg_()
        delta = log_p.exp_().scatter_add_(1, y, torch.full_like(log_p[:, :1], -1.0))
        return losses, delta.mul_(self.scale).to(self.dtype)

    def _update_bias(self, layer: int, delta: Tensor) -> None:
        if not self.biases:
            return
        rule, total = self.biases[layer], self.sums[layer]
        torch.sum(delta, dim=2, keepdim=True, dtype=total.dtype, out=total)
        rule.begin_step()
        rule.accumulate(rule.rated(total))
        rule.end_step()


def _first_layer(weights: Tensor, order: Tensor) -> Tensor:
    """Return ``(g, units, features)`` as ``(features, g, units)``, features in ``order``."""
    g, units, features = weights.shape
    rows = padded_rows(features, g * units, like=weights)
    return rows.view(features, g, units).copy_(weights.permute(2, 0, 1).index_select(0, order))
