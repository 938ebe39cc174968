"""Predict how signal and gradient change layer by layer, for networks at their random start.

``critical_line`` and ``exact_gain`` are single numbers, ``MeanField`` the maps and depth scales of
a network of infinite width, ``expected_profile`` the layers of one given MLP, to be compared with
what ``capture`` measured. Expectations are exact to rounding for every activation of the menu.

``depth_scales`` tabulates fixed points and depth scales, ``signal_path`` follows the maps,
``jacobian_spectrum`` gives singular values, ``gradient_correlation`` how alike gradients stay.
``dead_probability`` and ``length_ratio`` are exact for ReLU networks of finite width,
``learning_time`` for deep linear ones, ``sine_length`` for SIREN. ``residual_std`` and
``transformer_profile`` are about blocks with skip connections and normalization.
"""

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import exact_gain
from init_bench.theory.deep_linear import learning_time
from init_bench.theory.gradient_pairs import gradient_correlation
from init_bench.theory.inputs import Inputs
from init_bench.theory.jacobian import JacobianSpectrum, jacobian_spectrum
from init_bench.theory.mean_field import MeanField
from init_bench.theory.profile import expected_profile
from init_bench.theory.propagation import depth_scales, signal_path
from init_bench.theory.relu_networks import dead_probability, length_ratio
from init_bench.theory.sine_networks import sine_length
from init_bench.theory.stored_runs import expected_of_runs
from init_bench.theory.transformers import TransformerBlock, residual_std, transformer_profile

__all__ = [
    "Inputs",
    "JacobianSpectrum",
    "MeanField",
    "TransformerBlock",
    "critical_line",
    "dead_probability",
    "depth_scales",
    "exact_gain",
    "expected_of_runs",
    "expected_profile",
    "gradient_correlation",
    "jacobian_spectrum",
    "learning_time",
    "length_ratio",
    "residual_std",
    "signal_path",
    "sine_length",
    "transformer_profile",
]
