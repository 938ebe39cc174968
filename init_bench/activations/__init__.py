"""List activations, recognize them, compute their gains, moments and critical points."""

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import calculate_gain, exact_gain
from init_bench.activations.in_place import Kernel
from init_bench.activations.menu import ACTIVATIONS, Activation, register_activation
from init_bench.activations.recognition import bounds_of

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Kernel",
    "bounds_of",
    "calculate_gain",
    "critical_line",
    "exact_gain",
    "register_activation",
]
