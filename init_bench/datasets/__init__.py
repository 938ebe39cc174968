"""Load data sets: ``load(name)`` returns tensors, checked and ready to draw minibatches from."""

from init_bench.datasets.registry import DATASETS, Dataset, Source, check_name, described, load

__all__ = ["DATASETS", "Dataset", "Source", "check_name", "described", "load"]
