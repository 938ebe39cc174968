"""Compute statistics of a layer's outputs and weights, histograms and intervals."""

from init_bench.statistics.compared import COMPARED_SAMPLES, COMPARED_UNITS
from init_bench.statistics.formulas import STATISTICS
from init_bench.statistics.layer_statistics import SATURATION_MARGIN, describe, describe_weight
from init_bench.statistics.number_formats import FORMAT_STATISTICS

__all__ = [
    "COMPARED_SAMPLES",
    "COMPARED_UNITS",
    "FORMAT_STATISTICS",
    "SATURATION_MARGIN",
    "STATISTICS",
    "describe",
    "describe_weight",
]
