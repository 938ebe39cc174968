"""Do the steps of a stack on an accelerator; the host only sends indices and reads losses."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from init_bench.datasets import Dataset
from init_bench.training.engine.cuda_graph import StepGraph
from init_bench.training.minibatch_indices import index_blocks

BLOCK_STEPS = 50
"""Steps whose indices travel to the device, and whose losses come back, together."""


class DeviceStack(Protocol):
    """Step many cells as one, on samples that are on the device already."""

    @property
    def seeds(self) -> Sequence[int]:
        """The seed of each minibatch that ``step`` takes."""
        ...

    @property
    def inputs(self) -> Tensor:
        """All training inputs, as ``step`` takes samples of them."""
        ...

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Do one update; return the losses ``(G,)`` before it."""
        ...

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        ...


class DeviceSteps:
    """Run a stack on an accelerator, block by block.

    Per block the indices of all samples go to the device in one copy, and the losses stay there
    until they are read. A step gathers its samples itself, at a position that the device counts
    up: nothing waits for the host, and on CUDA steps are replayed as a graph.

    Args:
        positions: of each cell in the stack.
    """

    def __init__(
        self, stack: DeviceStack, data: Dataset, batch_size: int, positions: Sequence[int]
    ) -> None:
        self.stack, self.targets = stack, data.targets
        self.draws = _Draws(len(data.targets), stack.seeds, batch_size)
        self.indices = self.draws.ahead[:BLOCK_STEPS].to(data.device)
        self.position = torch.zeros(1, dtype=torch.long).to(data.device)
        self.losses = torch.zeros(BLOCK_STEPS, len(positions)).to(data.device)
        self.graph = StepGraph(data.device)
        self.positions = list(positions)
        self.keep(range(len(positions)))

    def keep(self, indices: Sequence[int]) -> None:
        """Report only the cells at ``indices``; the others go on training, as a graph is fixed."""
        self.positions = [self.positions[i] for i in indices]
        self.reported = torch.tensor(self.positions).to(self.losses.device)

    def steps(self, count: int) -> Tensor:
        """Do ``count`` updates of every cell; return the losses ``(count, G)`` before each.

        ``count`` is at most ``BLOCK_STEPS``.
        """
        self.indices[:count].copy_(self.draws.take(count), non_blocking=True)
        self.position.zero_()
        self.graph.run(self._step, count)
        self.draws.fill()  # while the device works
        return self.losses[:count].index_select(1, self.reported)

    def load_into(self, network: nn.Module, index: int) -> None:
        """Copy the weights of cell ``index`` into its own network."""
        self.stack.load_into(network, self.positions[index])

    def _step(self) -> None:
        chosen = self.indices.index_select(0, self.position).squeeze(0)
        losses = self.stack.step(_taken(self.stack.inputs, chosen), _taken(self.targets, chosen))
        self.losses.index_copy_(0, self.position, losses.to(self.losses.dtype).unsqueeze(0))
        self.position.add_(1)


def _taken(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the chosen samples, each a row of ``values``, in the shape of their indices."""
    return values.index_select(0, chosen.flatten()).view(*chosen.shape, *values.shape[1:])


class _Draws:
    """Draw the sample indices of all minibatches ahead of the steps that need them.

    Attributes:
        ahead: those of the next steps, ``(steps, S, B)``, on the CPU.
    """

    def __init__(self, samples: int, seeds: Sequence[int], batch_size: int) -> None:
        self.sources = {s: index_blocks(samples, s, batch_size) for s in sorted(set(seeds))}
        self.rows = [list(self.sources).index(seed) for seed in seeds]
        self.ahead = torch.empty((0, len(self.rows), batch_size), dtype=torch.long)
        self.fill()

    def fill(self) -> None:
        """Draw until there is enough for a block."""
        while len(self.ahead) < BLOCK_STEPS:
            drawn = torch.stack([next(source) for source in self.sources.values()], dim=1)
            self.ahead = torch.cat([self.ahead, drawn[:, self.rows]])

    def take(self, count: int) -> Tensor:
        """Return the indices of the next ``count`` steps, ``(count, S, B)``, in pinned memory."""
        taken, self.ahead = self.ahead[:count], self.ahead[count:]
        return taken.pin_memory() if torch.cuda.is_available() else taken.contiguous()
