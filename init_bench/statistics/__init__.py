"""Compute statistics of a layer's outputs and weights, histograms and intervals."""

from init_bench.statistics.layer import (
    COMPARED_SAMPLES,
    COMPARED_UNITS,
    SATURATION_MARGIN,
    STATISTICS,
    describe,
    describe_weight,
)

__all__ = [
    "COMPARED_SAMPLES",
    "COMPARED_UNITS",
    "SATURATION_MARGIN",
    "STATISTICS",
    "describe",
    "describe_weight",
]
