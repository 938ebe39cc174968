"""Tables → pictures: each function takes a frame and returns a matplotlib ``Figure``."""

from init_bench.figures.curves import loss_curves, smooth, symmetry
from init_bench.figures.diagnosis import diagnosis
from init_bench.figures.histograms import activation_histograms
from init_bench.figures.profiles import expressiveness, gradients

__all__ = [
    "activation_histograms",
    "diagnosis",
    "expressiveness",
    "gradients",
    "loss_curves",
    "smooth",
    "symmetry",
]
