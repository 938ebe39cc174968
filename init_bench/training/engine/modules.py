"""Train any ``nn.Module`` of many cells: stacked where that pays, else one at a time."""

import copy
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from init_bench.errors import first_line
from init_bench.hooks.random_streams import drawing_from, stream
from init_bench.init.whole_model.rate_factors import Factors
from init_bench.training.cell import Cell
from init_bench.training.engine.minibatches import Minibatch
from init_bench.training.engine.optimizers import OPTIMIZERS
from init_bench.training.engine.update_rule import CellFactors, UpdateRule, factors_of
from init_bench.training.networks import loss_of

log = logging.getLogger(__name__)


ONE_AT_A_TIME = ("cpu",)
"""Kinds of device on which cells are not stacked. On the CPU ``vmap`` takes twice as long for
convolutions as one network after another (``benchmarks/README.md``), and its products give a cell
other bits in other company."""


GLOBAL_RNG = threading.Lock()
"""Held while a step draws from torch's own random state, which all threads share."""


Batches = dict[int, Minibatch]


def stack_modules(
    cells: Sequence[Cell],
    networks: Sequence[nn.Module],
    inputs: Tensor,
    targets: Tensor,
    factors: CellFactors = (),
) -> "StackedModules | SeparateModules":
    """Return the engine that steps the networks of one cohort.

    A network that ``vmap`` cannot take is trained one at a time; a warning names the layer.

    Args:
        inputs, targets: all training samples; the stack is tried on the first two.
        factors: of the rates of each network's parameters.
    """
    if inputs.device.type in ONE_AT_A_TIME:
        return SeparateModules(cells, networks, factors)
    stack = StackedModules(cells, networks, inputs, factors)
    running: list[str] = []
    with ExitStack() as hooks:
        for name, module in stack.base.named_modules():
            if not any(module.children()):
                append = _appending(running, f"{name} ({type(module).__name__})")
                hooks.callback(module.register_forward_pre_hook(append).remove)
        try:
            stack.gradients(inputs[:2], targets[:2], shared=True)
        except (RuntimeError, NotImplementedError, ValueError, TypeError) as cause:
            where = running[-1] if running else type(stack.base).__name__
            reason = first_line(cause)
            log.warning(
                "%s cannot be stacked: layer %s: %s Its cells are trained one at a time.",
                cells[0].model,
                where,
                reason,
            )
            return SeparateModules(cells, networks, factors)
    return stack


def _appending(running: list[str], name: str) -> Any:
    return lambda module, inputs: running.append(name)


class SeparateModules:
    """Step the networks themselves, one after another."""

    def __init__(
        self, cells: Sequence[Cell], networks: Sequence[nn.Module], factors: CellFactors = ()
    ) -> None:
        own = factors or [{} for _ in cells]
        self.trainers = [_Trainer(*each) for each in zip(cells, networks, own, strict=True)]

    def step(self, batches: Batches) -> Tensor:
        """Do one update of every cell; return the losses ``(G,)`` before it."""
        return torch.stack([each.step(batches[each.cell.seed]) for each in self.trainers])

    def load_into(self, network: nn.Module, index: int) -> None:
        """Do nothing: the networks themselves are trained."""

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all cells but those at ``indices``."""
        self.trainers = [self.trainers[i] for i in indices]


class _Trainer:
    """Train one network; its random layers draw from a stream of the cell's own.

    The first step shows whether it draws at all: noticing that costs a tenth of a step of LeNet
    and half of one of a small MLP, so a network that does not draw is not checked again. One that
    draws in its backward pass repeats parts of its forward pass (gradient checkpointing), and must
    repeat its masks: torch rewinds its own random state for that, and no other.
    """

    def __init__(self, cell: Cell, network: nn.Module, factors: Mapping[str, Factors]) -> None:
        self.cell, self.network = cell, network
        self.generator = stream(cell.seed, "forward")
        trained = _trained(network)
        self.parameters = list(trained.values())
        rule = OPTIMIZERS[cell.optimizer].rule
        self.rules = [rule(p.detach().unsqueeze(0), 0, [cell]) for p in self.parameters]
        for name, each in zip(trained, self.rules, strict=True):
            each.use_factors(factors_of(name, [factors]))
        self.draws, self.repeats = True, False

    def step(self, batch: Minibatch) -> Tensor:
        loss, gradients = self._random_gradients(batch) if self.draws else self._gradients(batch)
        with torch.no_grad():
            for rule, gradient in zip(self.rules, gradients, strict=True):
                if gradient is not None:
                    rule.update(gradient.unsqueeze(0))
        return loss.detach()

    def _random_gradients(self, batch: Minibatch) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        """Return loss and gradients of a network that draws."""
        if self.repeats:
            return self._repeatable_gradients(batch)
        state = self.generator.get_state()
        with drawing_from(self.generator) as draws:
            found = self._gradients(batch)
        self.draws, self.repeats = draws.drew, draws.repeated
        if not self.repeats:
            return found
        self.generator.set_state(state)
        return self._repeatable_gradients(batch)

    def _repeatable_gradients(self, batch: Minibatch) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        """Return loss and gradients while torch's own random state is seeded from the stream."""
        seed = int(torch.randint(2**62, (1,), generator=self.generator))
        device = batch.inputs.device
        devices = [] if device.type == "cpu" else [device]
        with GLOBAL_RNG, torch.random.fork_rng(devices, device_type=device.type):
            torch.manual_seed(seed)
            return self._gradients(batch)

    def _gradients(self, batch: Minibatch) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        with _casting(self.cell, batch.inputs):
            logits = self.network(batch.inputs)
        loss = loss_of(logits, batch.targets)
        return loss, torch.autograd.grad(loss, self.parameters, allow_unused=True)


class StackedModules:
    """Step copies of one module as one: parameters and buffers ``(G, …)``, ``vmap`` over them.

    No cell is ever dropped, and a step changes its tensors in place, so that it can be recorded
    and replayed.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        networks: Sequence[nn.Module],
        inputs: Tensor,
        factors: CellFactors = (),
    ) -> None:
        self.cells, self.inputs = list(cells), inputs
        self.base = copy.deepcopy(networks[0])
        params, buffers = stack_module_state(list(networks))
        trained = _trained(networks[0])
        self.frozen = {name: p.detach() for name, p in params.items() if name not in trained}
        self.rules: dict[str, UpdateRule] = {
            name: OPTIMIZERS[cells[0].optimizer].rule(params[name].detach(), 0, cells)
            for name in trained
        }
        for name, rule in self.rules.items():
            rule.use_factors(factors_of(name, factors))
        self.buffers: dict[str, Tensor] = dict(buffers)
        self.seeds = sorted({cell.seed for cell in cells})
        rows = [self.seeds.index(cell.seed) for cell in cells]
        self.seed_rows = torch.tensor(rows).to(inputs.device)

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Do one update of every cell; return the losses ``(G,)`` before it.

        Shapes:
            x: ``(seeds, B, …)``; y: ``(seeds, B)``, or ``(seeds, B, classes)`` if real-valued.
        """
        shared = len(self.seeds) == 1
        x, y = (x[0], y[0]) if shared else (x[self.seed_rows], y[self.seed_rows])
        gradients, losses, buffers = self.gradients(x, y, shared=shared)
        with torch.no_grad():
            for name, rule in self.rules.items():
                rule.update(gradients[name])
            for name, value in buffers.items():
                self.buffers[name].copy_(value)
        return losses

    def gradients(
        self, x: Tensor, y: Tensor, *, shared: bool
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
        """Return gradients, losses and the buffers after the pass; nothing is changed.

        Shapes:
            x: ``(B, …)`` for all cells if ``shared``, else ``(G, B, …)``; y likewise.
        """

        def loss(
            values: dict[str, Tensor], others: dict[str, Tensor], x: Tensor, y: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            others = {name: value.clone() for name, value in others.items()}
            with _casting(self.cells[0], x):
                logits = functional_call(self.base, (values, others), (x,))
            return loss_of(logits, y), others

        samples = None if shared else 0
        each = vmap(grad_and_value(loss, has_aux=True), in_dims=(0, 0, samples, samples))
        values = {name: rule.values for name, rule in self.rules.items()}
        gradients, (losses, others) = each(values, {**self.frozen, **self.buffers}, x, y)
        return gradients, losses.detach(), {name: others[name].detach() for name in self.buffers}

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights and buffers of cell ``index`` into its own network."""
        stacked = {name: rule.values for name, rule in self.rules.items()} | self.buffers
        with torch.no_grad():
            for name, mine in (*network.named_parameters(), *network.named_buffers()):
                if name in stacked:
                    mine.copy_(stacked[name][index])


def _trained(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def _casting(cell: Cell, x: Tensor) -> AbstractContextManager[object]:
    """Let products of the block take and give bfloat16 where the cell wants it."""
    if cell.precision == "bfloat16":
        return torch.autocast(x.device.type, dtype=torch.bfloat16)
    return nullcontext()
