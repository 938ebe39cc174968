"""Predict by mean field theory how signal and gradient change layer by layer in a wide network.

``critical_line`` and ``exact_gain`` are single numbers, ``MeanField`` the maps and depth scales of
a network of infinite width, ``expected_profile`` the layers of one given MLP, to be compared with
what ``capture`` measured. Expectations are exact to rounding for every activation of the menu.
"""

from init_bench.activations.critical import critical_line
from init_bench.activations.gains import exact_gain
from init_bench.theory.inputs import Inputs
from init_bench.theory.mean_field import MeanField
from init_bench.theory.profile import expected_profile
from init_bench.theory.stored_runs import expected_of_runs

__all__ = [
    "Inputs",
    "MeanField",
    "critical_line",
    "exact_gain",
    "expected_of_runs",
    "expected_profile",
]
