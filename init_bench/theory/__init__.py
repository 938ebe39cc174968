"""Mean field: what a wide random network does to signal and gradient, layer by layer.

``critical_line`` and ``exact_gain`` are single numbers, ``MeanField`` the maps and depth scales of
an endless network, ``expected_profile`` the layers of one given MLP, to be laid beside what
``capture`` measured. Expectations are exact to rounding for every activation of the menu.
"""

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import exact_gain
from init_bench.theory.inputs import Inputs
from init_bench.theory.mean_field import MeanField
from init_bench.theory.profile import expected_profile

__all__ = ["Inputs", "MeanField", "critical_line", "exact_gain", "expected_profile"]
