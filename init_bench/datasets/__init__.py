"""Data sets: ``load(name)`` returns tensors, checked and ready to gather minibatches from."""

from init_bench.datasets.registry import DATASETS, SOURCES, Dataset, check_name, load

__all__ = ["DATASETS", "SOURCES", "Dataset", "check_name", "load"]
