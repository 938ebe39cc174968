"""Choose how many cells an accelerator takes at once, from its free memory."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from init_bench.datasets import Dataset
from init_bench.hooks.random_streams import DispatchMode
from init_bench.training.cell import Cell
from init_bench.training.networks import input_shape, network_of

log = logging.getLogger(__name__)


MOST_CELLS = 2000
"""Cells of a chunk at most: more make a step no faster per cell, and until a chunk is done nothing
of it is stored."""


UNKNOWN = 100
"""Cells of a chunk on a device of which torch does not know the free memory."""


USED_SHARE = 0.5
"""Share of the free memory that a chunk may take by the estimate."""


PARAMETER_COPIES = 8
"""Tensors of a parameter's size that a cell needs: the network, its stacked copy, the gradient,
two states of the optimizer, and three more for capture and temporaries."""


OUTPUT_COPIES = 3
"""Tensors of an output's size: the output, its gradient, a temporary."""


def cells_that_fit(cells: Sequence[Cell], data: Mapping[str, Dataset]) -> int:
    """Return how many of these cells a chunk on the device of ``data`` may have.

    The estimate is of the largest of them: its parameters, and the outputs of every operation of a
    forward pass over one minibatch.

    Args:
        data: data sets by name, on the device.
    """
    free = _free_bytes(data[cells[0].dataset].device)
    if free is None:
        return UNKNOWN
    kinds = {cell.cohort: cell for cell in cells}.values()
    needed = max(bytes_of(cell, data[cell.dataset]) for cell in kinds)
    return max(1, min(MOST_CELLS, int(USED_SHARE * free / needed)))


def _free_bytes(device: torch.device) -> int | None:
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return None
    torch.accelerator.memory.empty_cache()  # else what torch keeps for later counts as taken
    free: int = module.mem_get_info(device)[0]
    return free


def bytes_of(cell: Cell, data: Dataset) -> int:
    """Return about how many bytes one cell takes while it is trained.

    They are found by a run of its network on the meta device.
    """
    network = network_of(cell, data)
    parameters = sum(p.numel() * p.element_size() for p in network.parameters())
    shape = (cell.batch_size, *input_shape(cell, data))
    outputs = _OutputBytes()
    with outputs, torch.no_grad():
        network.to("meta")(torch.empty(shape, device="meta"))
    return PARAMETER_COPIES * parameters + OUTPUT_COPIES * outputs.total


class _OutputBytes(DispatchMode):  # type: ignore[no-untyped-call]
    """Add up the sizes of what operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_iter(result) if isinstance(leaf, Tensor)]
        self.total += sum(leaf.numel() * leaf.element_size() for leaf in tensors)
        return result
