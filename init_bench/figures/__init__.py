"""Tables → pictures: each function takes a frame and returns a matplotlib ``Figure``."""

from init_bench.figures.comparison import pair_comparison
from init_bench.figures.coordinates import coordinate_curves
from init_bench.figures.curves import loss_curves, smooth, symmetry
from init_bench.figures.diagnosis import diagnosis
from init_bench.figures.forests import forest
from init_bench.figures.histograms import activation_histograms
from init_bench.figures.overlays import depth_profile
from init_bench.figures.profiles import expressiveness, gradients

__all__ = [
    "activation_histograms",
    "coordinate_curves",
    "depth_profile",
    "diagnosis",
    "expressiveness",
    "forest",
    "gradients",
    "loss_curves",
    "pair_comparison",
    "smooth",
    "symmetry",
]
