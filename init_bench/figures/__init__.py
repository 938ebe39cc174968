"""Draw tables: each function takes data frames and returns a matplotlib ``Figure``.

No figure enters pyplot's state, and no function alters a frame or the global theme.
"""

from init_bench.figures.bench_panels import bench_task
from init_bench.figures.capture_panels import captured_layers
from init_bench.figures.claim_list import claim_verdicts
from init_bench.figures.coordinate_check import coordinate_curves
from init_bench.figures.critical_difference import rank_diagram
from init_bench.figures.curves import loss_curves, smooth, symmetry
from init_bench.figures.diagnosis_panels import diagnosis
from init_bench.figures.forest_plot import forest
from init_bench.figures.histograms import activation_histograms
from init_bench.figures.layer_lines import expressiveness, gradients
from init_bench.figures.pair import pair_comparison
from init_bench.figures.ranking import ranked_losses
from init_bench.figures.rate_trials import rate_curves
from init_bench.figures.states_by_parameter import parameter_states
from init_bench.figures.stds_by_parameter import parameter_stds
from init_bench.figures.theory_lines import Panel, measured_and_expected
from init_bench.figures.theory_overlay import depth_profile

__all__ = [
    "Panel",
    "activation_histograms",
    "bench_task",
    "captured_layers",
    "claim_verdicts",
    "coordinate_curves",
    "depth_profile",
    "diagnosis",
    "expressiveness",
    "forest",
    "gradients",
    "loss_curves",
    "measured_and_expected",
    "pair_comparison",
    "parameter_states",
    "parameter_stds",
    "rank_diagram",
    "ranked_losses",
    "rate_curves",
    "smooth",
    "symmetry",
]
