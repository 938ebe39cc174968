"""Sums over one layer's values, which its statistics stand on."""

from init_bench.sums.by_device import sums
from init_bench.sums.found import Sums
from init_bench.sums.tiles import exact

__all__ = ["Sums", "exact", "sums"]
