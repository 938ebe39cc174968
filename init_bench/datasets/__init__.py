"""Load data sets: ``load(name)`` returns tensors, checked and ready to draw minibatches from.

``menu.py`` lists them; a new one is an entry there.
"""

from init_bench.datasets.dataset import Dataset
from init_bench.datasets.menu import DATASETS, Source, check_name, described, load, release

__all__ = ["DATASETS", "Dataset", "Source", "check_name", "described", "load", "release"]
