"""Mean field of wide random networks: numbers a layer's signal has, before it is measured."""

from init_bench.mean_field.critical import critical_line
from init_bench.mean_field.nonlinearity import Nonlinearity, Phi, exact_gain
from init_bench.mean_field.phase import MeanField

__all__ = ["MeanField", "Nonlinearity", "Phi", "critical_line", "exact_gain"]
