"""Sums over one layer's values: a compiled loop on the CPU, torch's operations elsewhere."""

from torch import Tensor

from init_bench.statistics.sums.accelerator import exact, tile_sums
from init_bench.statistics.sums.result import Sums

__all__ = ["Sums", "exact", "sums"]


def sums(z: Tensor, ends: tuple[float, float] | None = None) -> Sums:
    """Return the sums of ``z``, ``(samples, units)``, any floating dtype, any device.

    Example:
        >>> import torch
        >>> found = sums(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> found.mean, found.within, found.between, found.constant_units
        (1.0, 0.5, 0.0, 1)
    """
    if z.device.type != "cpu":
        return tile_sums(z, ends)
    # Imported here: Numba takes 0.4 s to load, and only describing values needs it.
    from init_bench.statistics.sums.cpu import loop_sums

    return loop_sums(z, ends)
